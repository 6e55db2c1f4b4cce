//! Where webhooks may go: what a pool's admin names must not lead into the operator's own network
//! (server-side request forgery). Pure, but for the look-up of names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use reqwest::Url;

/// Longest URL of a target.
const URL_BYTES_MAX: usize = 1_000;

/// Networks that are nobody's, everybody's or somebody's own (the special-purpose registries of
/// RFC 6890 as of 2026), and the address at which one cloud tells its guests about themselves.
const V4_NOT_REACHED: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Of IPv6 only what is given out as global unicast is reached...
const V6_REACHED: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// ...and of that not protocols (Teredo among them), documentation and 6to4, which can hide an
/// address of version 4.
const V6_NOT_REACHED: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// A target that nothing is sent to, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Forbidden(pub &'static str);

/// Where webhooks may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    allowed: Vec<IpNet>,
}

fn within<A: Into<IpAddr>>((network, bits): (A, u8), address: IpAddr) -> bool {
    IpNet::new(network.into(), bits).is_ok_and(|network| network.contains(&address))
}

impl Reach {
    /// All that everybody can reach, and these networks.
    ///
    /// # Errors
    /// The first text that is no network.
    pub fn new(allowed: &[String]) -> Result<Self, String> {
        let parse = |text: &String| text.parse::<IpNet>().map_err(|_| text.clone());
        Ok(Self { allowed: allowed.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// Whether an address may be connected to. One of version 4 written as one of version 6 is
    /// judged as what it is.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let listed = self.allowed.iter().any(|network| network.contains(&address));
        listed
            || match address {
                IpAddr::V4(_) => !V4_NOT_REACHED.iter().any(|not| within(*not, address)),
                IpAddr::V6(_) => {
                    within(V6_REACHED, address)
                        && !V6_NOT_REACHED.iter().any(|not| within(*not, address))
                }
            }
    }

    /// The URL of a target, as far as it says itself where it leads: what a name leads to is judged
    /// when it is looked up.
    pub fn target(&self, url: &str) -> Result<Url, Forbidden> {
        if url.len() > URL_BYTES_MAX {
            return Err(Forbidden("the URL is longer than 1,000 bytes"));
        }
        let url = Url::parse(url).map_err(|_| Forbidden("this is no URL"))?;
        let host = url.host_str().ok_or(Forbidden("the URL names no host"))?;
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if literal.is_some_and(|address| !self.allows(address)) {
            return Err(Forbidden("the address is not one that everybody can reach"));
        }
        match url.scheme() {
            "https" => {}
            // Never over a network: only to the machine itself, where the operator says so.
            "http" if literal.is_some_and(|address| address.to_canonical().is_loopback()) => {}
            _ => return Err(Forbidden("only https:// is sent to")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden("a user or password in the URL would be kept in the clear"));
        }
        let listed = literal.is_some_and(|address| {
            self.allowed.iter().any(|network| network.contains(&address.to_canonical()))
        });
        // Ports below 1024 are other services': mail, shells, name servers.
        let port = url.port_or_known_default();
        if !listed && !port.is_some_and(|port| port == 443 || port >= 1_024) {
            return Err(Forbidden("only port 443, or one from 1024 on, is sent to"));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line is an address or a URL, and whether it is reached; beside it whether it is where
    /// `127.0.0.0/8` and `fd00:1::/32` are allowed.
    const TABLE: &str = include_str!("targets.txt");

    #[test]
    fn what_may_be_sent_to() {
        let none = Reach::default();
        let some = Reach::new(&["127.0.0.0/8".into(), "fd00:1::/32".into()]).unwrap();
        let mut count = 0;
        for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (target, expected) = (words.next().unwrap(), [words.next(), words.next()]);
            let judged = [&none, &some].map(|reach| match target.parse::<IpAddr>() {
                Ok(address) => reach.allows(address),
                Err(_) => reach.target(target).is_ok(),
            });
            let words = judged.map(|yes| Some(if yes { "yes" } else { "no" }));
            assert_eq!(words, expected, "{target}");
            count += 1;
        }
        assert!(count >= 60, "{count} lines");
    }

    #[test]
    fn networks_are_read_or_named_as_wrong() {
        assert_eq!(Reach::new(&["10.0.0.0/8".into(), "ten".into()]), Err("ten".to_owned()));
    }

    #[test]
    fn a_url_of_any_length_is_not_kept() {
        let long = format!("https://example.com/{}", "x".repeat(URL_BYTES_MAX));
        assert!(Reach::default().target(&long).is_err());
    }
}
