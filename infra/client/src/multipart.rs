//! The body of an update: `multipart/form-data` (RFC 7578), its length known before its first byte.
//!
//! Written by hand because it is streamed from files and made anew for each try; names of files
//! stand in the manifest, so that no header has to quote them.

use std::fmt::Write as _;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use schemas::name::MediaType;

use crate::fresh;
use crate::source::{Chunks, Source};

/// A body of one manifest and its files.
#[derive(Clone, Debug)]
pub(crate) struct Multipart {
    boundary: String,
    manifest: Bytes,
    files: Vec<(Bytes, Source)>,
    end: Bytes,
}

impl Multipart {
    /// The manifest as JSON, and each file with what it is.
    pub(crate) fn new(manifest: &[u8], files: Vec<(MediaType, Source)>) -> Self {
        // Random, so that no file contains it.
        let boundary = format!("sluice-{}", fresh::uuid().simple());
        let mut head = String::new();
        // Writing to a String cannot fail.
        _ = write!(
            head,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"manifest\"\r\n\
             Content-Type: application/json\r\n\r\n"
        );
        let part = |media_type: MediaType| {
            format!(
                "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
                 filename=\"file\"\r\nContent-Type: {media_type}\r\n\r\n"
            )
        };
        Self {
            manifest: [head.as_bytes(), manifest].concat().into(),
            files: files.into_iter().map(|(kind, source)| (part(kind).into(), source)).collect(),
            end: format!("\r\n--{boundary}--\r\n").into(),
            boundary,
        }
    }

    pub(crate) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    pub(crate) fn length_bytes(&self) -> u64 {
        let of_file = |(head, source): &(Bytes, Source)| head.len() as u64 + source.size_bytes();
        let files: u64 = self.files.iter().map(of_file).sum();
        (self.manifest.len() + self.end.len()) as u64 + files
    }

    pub(crate) fn chunks(&self) -> Chunks {
        let once = |bytes: &Bytes| stream::iter([Ok(bytes.clone())]);
        let files = self.files.clone();
        let files = stream::iter(files)
            .flat_map(|(head, source)| stream::iter([Ok(head)]).chain(source.chunks()));
        once(&self.manifest).chain(files).chain(once(&self.end)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    #[tokio::test]
    async fn it_is_as_long_as_it_says_and_made_of_parts() {
        let kind = || "text/csv".parse().unwrap();
        let files = vec![(kind(), Source::bytes("a,b")), (kind(), Source::bytes("c\r\n"))];
        let body = Multipart::new(b"{}", files);
        let chunks: Vec<Bytes> = body.chunks().try_collect().await.unwrap();
        let text = String::from_utf8(chunks.concat()).unwrap();
        assert_eq!(text.len() as u64, body.length_bytes());
        let line = format!("--{}", body.boundary);
        let parts: Vec<&str> = text.split(&line).collect();
        assert_eq!(parts.len(), 5);
        assert!(parts[1].ends_with("\r\n\r\n{}\r\n") && parts[1].contains("name=\"manifest\""));
        assert!(parts[2].contains("Content-Type: text/csv\r\n\r\na,b\r\n"));
        assert!(parts[3].ends_with("\r\n\r\nc\r\n\r\n"));
        assert_eq!(parts[4], "--\r\n");
    }
}
