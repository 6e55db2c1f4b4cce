//! Tar archives (POSIX.1-2001, pax) as streams: what one file becomes in one.

use std::future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use schemas::time::EffectiveAt;

/// What lengths are rounded up to.
const BLOCK_BYTES: u64 = 512;
static ZEROS: [u8; 1_024] = [0; 1_024];
/// Two empty blocks. An archive without them was cut off.
pub(super) const END: Bytes = Bytes::from_static(&ZEROS);

/// The blocks before a file: its path in full, its length, its time in whole seconds. Whoever
/// unpacks it may only read it.
pub(super) fn head(path: &str, size_bytes: u64, at: EffectiveAt) -> io::Result<Bytes> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size_bytes);
    header.set_mode(0o444);
    header.set_mtime(u64::try_from(at.millis().div_euclid(1_000)).unwrap_or(0));
    header.set_entry_type(tar::EntryType::Regular);
    let mut blocks = tar::Builder::new(Vec::new());
    if header.set_path(path).is_err() {
        // Longer than the header has room for.
        blocks.append_pax_extensions([("path", path.as_bytes())])?;
        let upload = path.split('/').next().unwrap_or_default();
        header.set_path(upload)?;
    }
    header.set_cksum();
    let mut head = std::mem::take(blocks.get_mut());
    head.extend_from_slice(header.as_bytes());
    Ok(head.into())
}

/// A head, the bytes that it announces, and what fills the last block. Ends with an error when
/// the bytes are more or fewer.
pub(super) fn entry<B>(
    head: Bytes,
    body: B,
    size_bytes: u64,
) -> impl Stream<Item = io::Result<Bytes>> + use<B>
where
    B: Stream<Item = io::Result<Bytes>>,
{
    let seen = Arc::new(AtomicU64::new(0));
    let counted = body.inspect({
        let seen = Arc::clone(&seen);
        move |piece| {
            let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            seen.fetch_add(length, Ordering::Relaxed);
        }
    });
    let fill = stream::once(future::ready(())).map(move |()| {
        if seen.load(Ordering::Relaxed) != size_bytes {
            return Err(io::Error::other("an object has another length than its file"));
        }
        let odd = usize::try_from(size_bytes % BLOCK_BYTES).unwrap_or(0);
        Ok(if odd == 0 { Bytes::new() } else { Bytes::from_static(&ZEROS).slice(odd..512) })
    });
    stream::once(future::ready(Ok(head))).chain(counted).chain(fill)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use std::io::Read as _;

    const AT: EffectiveAt = EffectiveAt::from_millis(1_795_257_000_999);

    async fn packed(path: &str, bytes: &'static [u8], size_bytes: u64) -> io::Result<Vec<u8>> {
        let body = stream::iter(bytes.chunks(300).map(|piece| Ok(Bytes::from_static(piece))));
        let head = head(path, size_bytes, AT)?;
        let pieces: Vec<Bytes> = entry(head, body, size_bytes).try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn what_is_packed_is_unpacked() {
        let long = format!("0199f3a2/{}", "ü".repeat(120));
        let entries: [(&str, &[u8]); 5] = [
            ("a/b.csv", b"1,2"),
            ("empty", b""),
            (&long, &[7; 512]),
            ("c", &[8; 1_000]),
            ("d", b"4"),
        ];
        let mut whole = Vec::new();
        for (path, bytes) in entries {
            whole.extend(packed(path, bytes, bytes.len() as u64).await.unwrap());
        }
        whole.extend(END);
        let mut archive = tar::Archive::new(whole.as_slice());
        let mut unpacked = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 1_795_257_000);
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
        });
        for (path, bytes) in entries {
            assert_eq!(unpacked.next().unwrap(), (path.to_owned(), bytes.to_vec()));
        }
        assert!(unpacked.next().is_none());
    }

    #[tokio::test]
    async fn an_object_of_another_length_ends_the_archive() {
        packed("a", b"123", 3).await.unwrap();
        packed("a", b"123", 4).await.unwrap_err();
        packed("a", b"123", 2).await.unwrap_err();
    }
}
