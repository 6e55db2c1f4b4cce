//! One file that is sent as a form, as browsers and clients of earlier systems send it.

use axum::body::Body;
use infra::http::body::Fault;
use schemas::name::FileName;

use super::form::Form;
use super::malformed;
use crate::error::Error;
use crate::state::State;
use crate::upload::{Declared, Rejection, Said, Sender, Taken, Upload, file_type};

/// How much longer a form may be than the file in it.
const AROUND_BYTES_MAX: u64 = 65_536;

/// A request to take the one file of a form.
#[derive(Debug)]
pub(crate) struct FormUpload {
    pub(crate) sender: Sender,
    pub(crate) said: Said,
    /// The Content-Type of the request.
    pub(crate) content_type: String,
    /// What the file is called; what its part says otherwise.
    pub(crate) name: Option<String>,
}

impl State {
    /// Takes the file in the form's first part, `file`.
    pub(crate) async fn receive_form(
        &self,
        ask: FormUpload,
        body: Body,
    ) -> Result<(Upload, Taken), Error> {
        let FormUpload { sender, said, content_type, name } = ask;
        let pause_max = self.pause_max();
        let size_bytes_max = sender.policy().files.size_bytes_max;
        let bytes_max = size_bytes_max.saturating_add(AROUND_BYTES_MAX);
        let of_a_file = |error| match error {
            Error::UpdateTooLarge(_) => Rejection::TooLarge { size_bytes_max }.into(),
            error => error,
        };
        let mut form = Form::begin(&content_type, body, bytes_max, pause_max)?;
        let part = form.next().await.map_err(of_a_file)?.filter(|part| part.name == "file");
        let part = part.ok_or_else(|| malformed("the first part is to be `file`"))?;
        let name = name.or_else(|| part.file_name.clone()).unwrap_or_default();
        let name: FileName = name.parse().map_err(|bad| Error::File(Rejection::Name(bad)))?;
        let kind = part.content_type.as_deref().unwrap_or("application/octet-stream");
        let media_type = file_type(kind).map_err(Error::File)?;
        let declared = Declared { name, media_type, size_bytes: None, sha256: None };
        let upload = Upload { sender, declared, said };
        match Box::pin(self.receive(&upload, part.body())).await {
            Ok(taken) => Ok((upload, taken)),
            Err(Error::Body(Fault::Cut)) => Err(form.broken().map_or(Fault::Cut.into(), of_a_file)),
            Err(error) => Err(error),
        }
    }
}
