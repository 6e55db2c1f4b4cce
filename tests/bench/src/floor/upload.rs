//! Floor of uploads: a server that does what no durable upload can leave out. One thread for each
//! connection: read, hash, write, sync the file, rename it, sync its folder, answer. It asks
//! nobody, checks nothing and remembers nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

/// What is read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Folders that files are spread over, as ours are.
const FANS: u64 = 256;

struct Place {
    folder: PathBuf,
    next: AtomicU64,
}

/// Serves until the process is ended.
#[allow(clippy::print_stdout, reason = "the address is told as ours is")]
pub(crate) fn serve(folder: &Path) -> anyhow::Result<()> {
    for fan in 0..FANS {
        std::fs::create_dir(folder.join(format!("{fan:02x}")))?;
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("the floor listens on http://{}", listener.local_addr()?);
    let place = Arc::new(Place { folder: folder.to_owned(), next: AtomicU64::new(0) });
    for stream in listener.incoming() {
        let (stream, place) = (stream?, Arc::clone(&place));
        // Whoever goes away ends its thread.
        std::thread::spawn(move || place.keep(&stream));
    }
    Ok(())
}

impl Place {
    fn keep(&self, stream: &TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut from = BufReader::new(stream);
        let mut piece = vec![0; PIECE_BYTES];
        while let Some((line, length)) = head(&mut from)? {
            let answer = match line.strip_prefix("GET /") {
                Some(rest) => {
                    let name = rest.split(' ').next().unwrap_or_default();
                    let bytes = std::fs::read(self.folder.join(name))?;
                    let head =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len());
                    [head.as_bytes(), &bytes].concat()
                }
                None => self.take(&mut from, length, &mut piece)?.into_bytes(),
            };
            (&mut &*stream).write_all(&answer)?;
        }
        Ok(())
    }

    /// Takes a file; gives the answer.
    fn take(
        &self,
        from: &mut BufReader<&TcpStream>,
        length: u64,
        piece: &mut [u8],
    ) -> anyhow::Result<String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let fan = self.folder.join(format!("{:02x}", number % FANS));
        let unfinished = fan.join(format!(".put-{number}"));
        let mut file = File::create_new(&unfinished)?;
        let (mut hash, mut left) = (Sha256::new(), length);
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let read = from.read(piece.get_mut(..room).unwrap_or_default())?;
            anyhow::ensure!(read > 0, "the connection was closed");
            let bytes = piece.get(..read).unwrap_or_default();
            hash.update(bytes);
            file.write_all(bytes)?;
            left -= read as u64;
        }
        let digest = hash.finalize();
        file.sync_data()?;
        std::fs::rename(&unfinished, fan.join(number.to_string()))?;
        File::open(&fan)?.sync_all()?;
        let mark = digest.iter().fold(0_u64, |mark, byte| mark.wrapping_mul(31) + u64::from(*byte));
        let body = format!("{:02x}/{number} {mark:016x}", number % FANS);
        Ok(format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }
}

/// The request's line and the length of its body; none once the connection is closed.
fn head(from: &mut BufReader<&TcpStream>) -> anyhow::Result<Option<(String, u64)>> {
    let (mut first, mut length, mut line) = (None, 0, String::new());
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        if line == "\r\n" {
            return Ok(first.map(|first| (first, length)));
        }
        first.get_or_insert_with(|| line.clone());
    }
}
