//! Downloads: streamed to a file, gone on with after a cut, kept only with the right digest.

use std::path::Path;

use futures_util::StreamExt;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use schemas::digest::Digest;

use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::part::Part;
use crate::retry::{Repeat, Tries};
use crate::source::Progress;

/// What the bytes have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Their length.
    pub size_bytes: u64,
    /// Their digest.
    pub sha256: Digest,
}

impl Client {
    /// Fetches what `call` names to `to`, which is replaced once all of it is there. What a cut
    /// leaves lies beside it, to go on from; of other bytes than wanted, nothing is left.
    pub(crate) async fn fetch(
        &self,
        call: Call<'_>,
        wanted: Wanted,
        to: &Path,
        progress: &Progress,
    ) -> Result<()> {
        let mut part = Part::open(to, wanted.sha256).await?;
        let mut tries = Tries::new(self.bounds(), Repeat::Harmless);
        // What an earlier process left is not trusted as much as what this one has seen.
        let mut is_ours = part.length_bytes() == 0;
        loop {
            let had_bytes = part.length_bytes();
            let fetched = self.fetch_rest(&call, wanted, &mut part, progress).await;
            match fetched {
                Ok(()) if part.sha256() == wanted.sha256 => return part.keep().await,
                Ok(()) if is_ours => {
                    let (expected, found) = (wanted.sha256, part.sha256());
                    part.discard().await?;
                    return Err(Error::OtherBytes { expected, found });
                }
                Ok(()) => {
                    part.restart().await?;
                    is_ours = true;
                }
                Err(error) => {
                    if part.length_bytes() > had_bytes {
                        tries.got_on();
                    }
                    tries.after(error).await?;
                }
            }
        }
    }

    /// Fetches what is missing, in one try. Returns at a good end, or at more than was wanted.
    async fn fetch_rest(
        &self,
        call: &Call<'_>,
        wanted: Wanted,
        part: &mut Part,
        progress: &Progress,
    ) -> Result<()> {
        if part.length_bytes() > wanted.size_bytes {
            part.restart().await?;
        }
        if part.length_bytes() == wanted.size_bytes {
            return Ok(());
        }
        let response = self.rest_of(call, part).await?;
        let silence_max = self.bounds().silence_max;
        let mut chunks = response.bytes_stream();
        loop {
            let next = tokio::time::timeout(silence_max, chunks.next()).await;
            let Some(chunk) = next.map_err(|_| Error::Silent(silence_max))? else { break };
            part.append(&chunk?).await?;
            progress.tell(part.length_bytes());
            if part.length_bytes() > wanted.size_bytes {
                return Ok(());
            }
        }
        if part.length_bytes() < wanted.size_bytes {
            let (got, whole) = (part.length_bytes(), wanted.size_bytes);
            return Err(Error::Cut(format!("{got} of {whole} bytes came")));
        }
        Ok(())
    }

    async fn rest_of(&self, call: &Call<'_>, part: &mut Part) -> Result<Response> {
        let from = part.length_bytes();
        if from == 0 {
            return call.once().await;
        }
        let response = match call.once_with(RANGE, &format!("bytes={from}-")).await {
            // What is there is no beginning of what the server has.
            Err(error) if error.status() == Some(416) => {
                part.restart().await?;
                return call.once().await;
            }
            answered => answered?,
        };
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
            && range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")));
        if !goes_on {
            part.restart().await?;
            if response.status() == StatusCode::PARTIAL_CONTENT {
                return call.once().await;
            }
        }
        Ok(response)
    }
}
