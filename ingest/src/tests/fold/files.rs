//! Files: each is placed once, or waits for a verdict.

use std::sync::Arc;

use schemas::event::{
    Derived, FileAccepted, FileFaults, FilePlaced, FileRejected, HeldReason, Placement,
    UploadRefused, UploadRepeated,
};
use schemas::file::FileRef;
use schemas::id::UploadId;

use super::Pool;

impl Pool {
    pub(super) fn place(&mut self, file: FileRef) -> Derived {
        let (upload, client) = (file.upload, file.client);
        match self.seen.get(&upload) {
            Some(sha256) if *sha256 == file.sha256 => {
                UploadRepeated { upload, update: None }.into()
            }
            Some(_) => UploadRefused { upload, client, update: None }.into(),
            None => {
                self.seen.insert(upload, file.sha256);
                self.waiting += 1;
                let (_, policy) = self.id.as_ref().unwrap();
                let window = policy.windows.of(file.effective_at);
                let inspected = !file.inspections.is_empty();
                let file = Arc::new(file);
                let placed = if inspected {
                    self.inspecting.insert(upload, Arc::clone(&file));
                    Placement::Inspecting { window }
                } else {
                    Placement::Held { reason: HeldReason::TooLate, window }
                };
                FilePlaced { file, update: None, placed, sent: None }.into()
            }
        }
    }

    pub(super) fn verdict(
        &mut self,
        upload: UploadId,
        rejection: Option<FileFaults>,
    ) -> Vec<Derived> {
        let Some(file) = self.inspecting.remove(&upload) else { return Vec::new() };
        let (client, name) = (file.client, file.name.clone());
        vec![match rejection {
            Some(rejection) => FileRejected { upload, client, name, rejection }.into(),
            None => {
                let (_, policy) = self.id.as_ref().unwrap();
                let window = policy.windows.of(file.effective_at);
                let placed = Placement::Held { reason: HeldReason::TooLate, window };
                FileAccepted { file, placed }.into()
            }
        }]
    }
}
