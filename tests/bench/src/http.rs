//! The least HTTP/1.1 that uploads need, on a blocking socket: the same client for ours and the
//! floor, so that it weighs the same on both.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::Context as _;

/// Where files go, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) at: SocketAddr,
    /// The request's target, with its query.
    pub(crate) path: String,
    pub(crate) token: String,
}

impl Target {
    /// The head of an upload, under a key of its own as our clients send one.
    pub(crate) fn head(&self, size_bytes: usize) -> String {
        let (Self { at, path, token }, key) = (self, client::fresh::key());
        format!(
            "POST {path} HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {token}\r\n\
             idempotency-key: {key}\r\ncontent-type: application/octet-stream\r\n\
             content-length: {size_bytes}\r\n\r\n"
        )
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(at: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends the piece so many times as one file; it must be taken.
    pub(crate) fn upload(&mut self, to: &Target, piece: &[u8], times: usize) -> anyhow::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(to.head(piece.len() * times).as_bytes())?;
        for _ in 0..times {
            stream.write_all(piece)?;
        }
        let (status, body) = self.answer()?;
        anyhow::ensure!(status == 201, "{status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    /// Fetches; gives the bytes.
    pub(crate) fn fetch(&mut self, at: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\n\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
        let (status, body) = self.answer()?;
        anyhow::ensure!(status == 200, "{status}");
        Ok(body)
    }

    fn answer(&mut self) -> anyhow::Result<(u16, Vec<u8>)> {
        let (mut line, mut status, mut length) = (String::new(), None, 0);
        loop {
            line.clear();
            anyhow::ensure!(self.stream.read_line(&mut line)? > 0, "the connection was closed");
            if status.is_none() {
                status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status.context("an answer has a status")?, body))
    }
}

/// Bytes that are of no known kind.
pub(crate) fn noise(size_bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next)
        .take(size_bytes.div_ceil(8))
        .flat_map(u64::to_le_bytes)
        .collect();
    bytes.truncate(size_bytes);
    bytes
}
