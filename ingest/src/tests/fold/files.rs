//! Files: each is placed once, or waits for a verdict.

use std::sync::Arc;

use schemas::event::{
    Derived, Event, FileAccepted, FileFaults, FilePlaced, FileRejected, HeldReason,
    InspectionBegun, Placement, Refusal, UploadRefused, UploadRepeated,
};
use schemas::file::FileRef;
use schemas::id::UploadId;

use super::{Pool, refused};

impl Pool {
    /// What follows from an event about files; from any other, nothing.
    pub(super) fn answer_of_files(&mut self, event: Event) -> Vec<Derived> {
        match event {
            Event::UploadReceived(received) => vec![self.place(received.file)],
            Event::UpdateReceived(update) => {
                update.items.into_iter().map(|file| self.place(file)).collect()
            }
            Event::UploadInspectionStarted(start) => {
                if !self.inspecting.contains_key(&start.upload) {
                    return vec![refused(Refusal::NotUnderInspection)];
                }
                vec![InspectionBegun { upload: start.upload, run: start.run }.into()]
            }
            Event::UploadAccepted(verdict) => self.verdict(verdict.upload, None),
            Event::UploadRejected(verdict) => self.verdict(verdict.upload, Some(verdict.rejection)),
            Event::UploadRetryRequested(_) => vec![refused(Refusal::NotFailed)],
            Event::UploadReleaseRequested(_) | Event::UploadDiscardRequested(_) => {
                vec![refused(Refusal::NotHeld)]
            }
            _ => Vec::new(),
        }
    }

    fn place(&mut self, file: FileRef) -> Derived {
        let (upload, client) = (file.upload, file.client);
        match self.seen.get(&upload) {
            Some(sha256) if *sha256 == file.sha256 => {
                UploadRepeated { upload, update: None }.into()
            }
            Some(_) => UploadRefused { upload, client, update: None }.into(),
            None => {
                self.seen.insert(upload, file.sha256);
                self.waiting += 1;
                let inspected = !file.inspections.is_empty();
                let file = Arc::new(file);
                let placed = if inspected {
                    self.inspecting.insert(upload, Arc::clone(&file));
                    Placement::Inspecting { window: self.placement(&file).window() }
                } else {
                    self.placement(&file)
                };
                FilePlaced { file, update: None, placed, sent: None }.into()
            }
        }
    }

    fn verdict(&mut self, upload: UploadId, rejection: Option<FileFaults>) -> Vec<Derived> {
        let Some(file) = self.inspecting.remove(&upload) else { return Vec::new() };
        let (client, name) = (file.client, file.name.clone());
        if let Some(rejection) = rejection {
            return vec![FileRejected { upload, client, name, rejection }.into()];
        }
        let placed = self.placement(&file);
        vec![FileAccepted { file, placed }.into()]
    }

    fn placement(&self, file: &FileRef) -> Placement {
        let (_, policy) = self.id.as_ref().unwrap();
        let window = policy.windows.of(file.effective_at);
        Placement::Held { reason: HeldReason::TooLate, window }
    }
}
