//! A few connections that read a file, on threads that may block.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{Failure, open_to_read};

/// The connections that read one file. A read beyond their number waits.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    room: Arc<Semaphore>,
}

impl Readers {
    /// At most `count` readers of the file, opened when they are needed.
    pub(crate) fn new(path: PathBuf, count: usize) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::default(), room: Arc::new(Semaphore::new(count)) })
    }

    /// Reads. The future owns all it needs: dropped, the read ends by itself and gives its
    /// connection back.
    pub(crate) fn read<T, F>(
        self: &Arc<Self>,
        read: F,
    ) -> impl Future<Output = Result<T, Failure>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    {
        let readers = Arc::clone(self);
        async move {
            let stopped = |_| Failure::Broken("the process is ending".to_owned());
            let permit = Arc::clone(&readers.room).acquire_owned().await;
            let blocking = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                readers.read_now(read)
            });
            blocking.await.map_err(stopped)?
        }
    }

    /// Reads on this thread, which may block.
    pub(crate) fn read_now<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.idle.lock().expect("nothing panics while holding it").pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open_to_read(&self.path)?,
        };
        let result = read(&mut connection);
        // One that failed in a way not understood is closed.
        if !matches!(result, Err(Failure::Broken(_))) {
            self.idle.lock().expect("nothing panics while holding it").push(connection);
        }
        result
    }
}
