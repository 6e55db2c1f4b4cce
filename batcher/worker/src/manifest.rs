//! A manifest as it comes in, page by page, until its digest is the one that was leased.

use client::{Client, Error, PageAsk};
use schemas::api::{BatchFile, Lease};
use schemas::digest::Digest;
use schemas::file::{FileRef, manifest_digest};
use schemas::name::PoolName;

/// Why there is no manifest to work by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Call(#[from] Error),
    #[error("the manifest has {files} files and the digest {found}, not {expected}")]
    Other { files: usize, found: Digest, expected: Digest },
    #[error("the manifest's pages are out of order")]
    Disorder,
}

/// The files of the leased revision.
pub(crate) async fn fetch(
    client: &Client,
    pool: &PoolName,
    lease: &Lease,
) -> Result<Vec<FileRef>, Fault> {
    let mut chain = Chain::new(lease.manifest_sha256);
    let mut page = PageAsk::default();
    loop {
        let view = client.manifest(pool, lease.batch, &page).await?;
        for item in view.items {
            if chain.push(item)? {
                return Ok(chain.files);
            }
        }
        match view.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return chain.end(),
        }
    }
}

/// The files so far, and the digest of the pages that have ended.
///
/// The manifest that is served is the newest revision's. An older one is its beginning, so the
/// leased revision has ended where the digest is the leased one.
struct Chain {
    expected: Digest,
    digest: Option<Digest>,
    page: u32,
    /// Where the page that has not ended began.
    from: usize,
    files: Vec<FileRef>,
}

impl Chain {
    fn new(expected: Digest) -> Self {
        Self { expected, digest: None, page: 0, from: 0, files: Vec::new() }
    }

    /// Takes the next file, unless what came before it is the whole manifest already.
    fn push(&mut self, item: BatchFile) -> Result<bool, Fault> {
        if item.page < self.page || item.page > self.page + 1 {
            return Err(Fault::Disorder);
        }
        if item.page > self.page {
            self.end_page();
            if self.digest == Some(self.expected) {
                return Ok(true);
            }
            self.page = item.page;
        }
        self.files.push(item.file);
        Ok(false)
    }

    fn end_page(&mut self) {
        let page = self.files.get(self.from..).unwrap_or_default();
        if !page.is_empty() {
            self.digest = Some(manifest_digest(self.digest, page.iter()));
            self.from = self.files.len();
        }
    }

    fn end(mut self) -> Result<Vec<FileRef>, Fault> {
        self.end_page();
        match self.digest {
            Some(digest) if digest == self.expected => Ok(self.files),
            digest => Err(Fault::Other {
                files: self.files.len(),
                found: digest.unwrap_or_else(|| manifest_digest(None, std::iter::empty())),
                expected: self.expected,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::file;

    fn read(pages: &[&[u8]], expected: Digest) -> Result<usize, Fault> {
        let mut chain = Chain::new(expected);
        for (page, contents) in (1..).zip(pages) {
            for content in *contents {
                if chain.push(BatchFile { page, file: file(&[*content]) })? {
                    return Ok(chain.files.len());
                }
            }
        }
        chain.end().map(|files| files.len())
    }

    fn digest(pages: &[&[u8]]) -> Digest {
        let fold = |digest, contents: &&[u8]| {
            let files: Vec<FileRef> = contents.iter().map(|content| file(&[*content])).collect();
            Some(manifest_digest(digest, files.iter()))
        };
        pages.iter().fold(None, fold).unwrap()
    }

    #[test]
    fn a_manifest_is_whole_when_its_digest_is() {
        let pages: [&[u8]; 3] = [b"ab", b"c", b"de"];
        assert_eq!(read(&pages, digest(&pages)).unwrap(), 5);
        assert_eq!(read(&pages, digest(&pages[..2])).unwrap(), 3, "amended since it was leased");
        assert_eq!(read(&pages, digest(&pages[..1])).unwrap(), 2);
        for wrong in [&pages[..2], &[b"ba", b"c", b"de"], &[b"abc", b"de"], &[b"ab", b"c"], &[]] {
            assert!(matches!(read(wrong, digest(&pages)), Err(Fault::Other { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn pages_come_in_order() {
        let mut chain = Chain::new(digest(&[b"a"]));
        assert!(chain.push(BatchFile { page: 2, file: file(b"a") }).is_err());
        assert!(chain.push(BatchFile { page: 1, file: file(b"x") }).is_ok());
        assert!(chain.push(BatchFile { page: 2, file: file(b"y") }).is_ok());
        assert!(chain.push(BatchFile { page: 1, file: file(b"z") }).is_err());
    }
}
