//! The threads that may block on the disk: a bounded number at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::RETRY_AFTER;
use crate::blobs::{Error, Result};

/// Disk operations at once. More would only wait in the kernel, and starve others of threads.
const OPERATIONS_MAX: usize = 64;

/// Runs what blocks.
#[derive(Clone, Debug)]
pub(super) struct Threads(Arc<Semaphore>);

impl Threads {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(OPERATIONS_MAX)))
    }

    /// Runs it once there is room. When this future is dropped, what has begun runs on by itself.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            operation()
        });
        running.await.unwrap_or_else(|error| {
            Err(Error::Refused { reason: error.to_string(), retry_after: RETRY_AFTER })
        })
    }
}
