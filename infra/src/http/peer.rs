//! Which address a request comes from: the connection's, unless a proxy that the configuration
//! trusts says that it passes the request on for another.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

/// The header in which proxies name whom they pass a request on for. One of them only: a proxy that
/// writes the one lets through what a client has written into the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`: a list of addresses.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The text names no header that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("x-forwarded-for or forwarded is expected")]
pub struct NotAHeader;

impl FromStr for ProxyHeader {
    type Err = NotAHeader;

    fn from_str(text: &str) -> Result<Self, NotAHeader> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(NotAHeader),
        }
    }
}

/// The proxies that are believed. None by default.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    header: ProxyHeader,
}

/// The text is no network of proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAProxy {
    /// It cannot be read.
    #[error("an address or a network such as 10.0.0.0/8 is expected")]
    Unreadable,
    /// Whoever connects could claim to be anyone.
    #[error("this trusts everyone")]
    Everyone,
}

impl Proxies {
    /// Those in these networks, which say it in this header.
    pub fn new(networks: &[String], header: ProxyHeader) -> Result<Self, (String, NotAProxy)> {
        let read = |text: &String| network(text).map_err(|wrong| (text.clone(), wrong));
        let trusted = networks.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { trusted, header })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that came over a connection with `peer`: read from the right, where
    /// the nearest proxy wrote, the first address that is no trusted proxy's. What stands left of
    /// it anyone may have written. Where a proxy names nobody, it is the client itself.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let name = match self.header {
            ProxyHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ProxyHeader::Forwarded => FORWARDED,
        };
        let lines = headers.get_all(name).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            let Some(address) = self.address(hop.trim()) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn address(&self, hop: &str) -> Option<IpAddr> {
        let node = match self.header {
            ProxyHeader::XForwardedFor => hop,
            ProxyHeader::Forwarded => {
                let mut pairs = hop.split(';').filter_map(|pair| pair.split_once('='));
                let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
                node.trim().trim_matches('"')
            }
        };
        let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
        let address = bare.parse::<IpAddr>().ok();
        let address = address.or_else(|| node.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
        address.map(|address| address.to_canonical())
    }
}

fn network(text: &str) -> Result<IpNet, NotAProxy> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(network) if network.prefix_len() == 0 => Err(NotAProxy::Everyone),
        Ok(network) => Ok(network),
        Err(_) => Err(NotAProxy::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(proxies: &[&str], header: ProxyHeader, peer: &str, lines: &[&str]) -> String {
        let networks: Vec<_> = proxies.iter().map(|text| (*text).to_owned()).collect();
        let proxies = Proxies::new(&networks, header).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            for name in ["x-forwarded-for", "forwarded"] {
                headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_as_far_as_they_saw() {
        let check = |proxies: &[&str], peer: &str, lines: &[&str], expected: &str| {
            let header = ProxyHeader::XForwardedFor;
            assert_eq!(client(proxies, header, peer, lines), expected, "{peer} {lines:?}");
        };
        let ours = ["10.0.0.0/8", "2001:db8:aa::/48", "127.0.0.1"];
        check(&[], "127.0.0.1", &["1.2.3.4"], "127.0.0.1");
        check(&ours, "9.9.9.9", &["1.2.3.4"], "9.9.9.9");
        check(&ours, "10.0.0.1", &[], "10.0.0.1");
        check(&ours, "10.0.0.1", &["1.2.3.4"], "1.2.3.4");
        check(&ours, "::ffff:10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4");
        check(&ours, "10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4");
        check(&ours, "10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.9.9.9"], "1.2.3.4");
        check(&ours, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check(&ours, "10.0.0.1", &["1.2.3.4, nonsense"], "10.0.0.1");
        check(&ours, "10.0.0.1", &["1.2.3.4, unknown, 10.0.0.2"], "10.0.0.2");
        check(&ours, "10.0.0.1", &["1.2.3.4:5678"], "1.2.3.4");
        check(&ours, "2001:db8:aa::1", &["[2001:db8:bb::1]:443"], "2001:db8:bb::1");
        check(&ours, "127.0.0.1", &["2001:db8:bb::1"], "2001:db8:bb::1");
        check(&ours, "127.0.0.2", &["1.2.3.4"], "127.0.0.2");
        check(&ours, "10.0.0.1", &["\u{e9}"], "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_the_one_configured() {
        let check = |lines: &[&str], expected: &str| {
            let header = ProxyHeader::Forwarded;
            assert_eq!(client(&["10.0.0.0/8"], header, "10.0.0.1", lines), expected, "{lines:?}");
        };
        check(&["for=1.2.3.4"], "1.2.3.4");
        check(&["proto=https;For=\"1.2.3.4:99\";by=10.0.0.1"], "1.2.3.4");
        check(&["for=6.6.6.6, for=\"[2001:db8::1]:4711\""], "2001:db8::1");
        check(&["for=6.6.6.6, for=_hidden"], "10.0.0.1");
        check(&["for=6.6.6.6, by=10.0.0.2"], "10.0.0.1");
        check(&["for=\"6.6.6.6, for=1.2.3.4"], "1.2.3.4");
        check(&["1.2.3.4"], "10.0.0.1");
    }

    #[test]
    fn networks_and_headers_are_read_or_refused() {
        let check = |text: &str, expected: Result<(), NotAProxy>| {
            assert_eq!(network(text).map(drop), expected, "{text}");
        };
        check("10.0.0.0/8", Ok(()));
        check("::1", Ok(()));
        check("0.0.0.0/0", Err(NotAProxy::Everyone));
        check("::/0", Err(NotAProxy::Everyone));
        for text in ["", "10.0.0.0/33", "proxy.example", "10.0.0.1:80"] {
            check(text, Err(NotAProxy::Unreadable));
        }
        assert_eq!("Forwarded".parse(), Ok(ProxyHeader::Forwarded));
        assert_eq!("x-real-ip".parse::<ProxyHeader>(), Err(NotAHeader));
    }
}
