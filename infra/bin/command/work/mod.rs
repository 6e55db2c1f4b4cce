//! `sluice work`: runs a program for each batch.

mod program;

use std::path::PathBuf;

use clap::Args;
use schemas::name::{FileName, MediaType};
use serde_json::{Value, json};
use worker::{Batch, Ended, Worker};

use crate::outcome::Done;
use crate::session::{OfPool, Session};
use program::Program;

/// Work on batches with a program
///
/// For each batch the program runs in a folder of its own with manifest.json and inputs/, and
/// writes its one file to the path in SLUICE_OUTPUT. It is told SLUICE_MANIFEST, SLUICE_INPUTS,
/// SLUICE_BATCH, SLUICE_POOL, SLUICE_REVISION and SLUICE_ATTEMPT. When it ends with another code
/// than 0, the attempt has failed, and the last line of its standard error is the reason.
#[derive(Args, Debug)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    of: OfPool,
    /// The program and its arguments, as a shell takes them
    #[arg(long, value_name = "CMD")]
    exec: String,
    /// End after one batch that was worked on to its end
    #[arg(long)]
    once: bool,
    /// What results are called
    #[arg(long, default_value = "result", value_name = "NAME")]
    name: FileName,
    /// What results are [default: by the extension of their name]
    #[arg(long = "type", value_name = "MEDIA_TYPE")]
    media_type: Option<MediaType>,
    /// Keep the files of batches below this folder while they are worked on
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// What is logged, such as info or worker=debug
    #[arg(long, env = "SLUICE_LOG_FILTER", default_value = "warn")]
    log_filter: String,
}

pub(crate) async fn run(args: WorkArgs, session: &Session) -> anyhow::Result<Done> {
    infra::telemetry::start_log(&args.log_filter, infra::telemetry::LogForm::fitting())?;
    let client = session.client()?;
    let mut worker = Worker::new(client, args.of.pool).until(session.stop.clone());
    if let Some(folder) = args.folder {
        worker = worker.working_in(folder);
    }
    let guessed = || mime_guess::from_path(args.name.as_str()).first()?.essence_str().parse().ok();
    let media_type = args.media_type.or_else(guessed).unwrap_or_else(MediaType::octet_stream);
    let program = Program { command: args.exec, name: args.name, media_type };
    let handler = async |batch: Batch| program.run(batch).await;
    session.print.note("waiting for batches");
    while let Some(ended) = worker.next(handler).await? {
        session.print.object(&told(&ended), |_| spoken(&ended))?;
        match ended {
            Ended::Published { .. } if args.once => return Ok(Done::Whole),
            Ended::Failed { .. } if args.once => anyhow::bail!("the attempt failed"),
            _ => {}
        }
    }
    Ok(Done::Whole)
}

fn told(ended: &Ended) -> Value {
    match ended {
        Ended::Published { batch, revision, result } => json!({
            "state": "published", "batch": batch, "revision": revision, "result": result,
        }),
        Ended::Failed { batch, revision, reason } => json!({
            "state": "failed", "batch": batch, "revision": revision, "reason": reason,
        }),
        Ended::Lost { batch, revision } => {
            json!({ "state": "lost", "batch": batch, "revision": revision })
        }
    }
}

fn spoken(ended: &Ended) -> String {
    match ended {
        Ended::Published { batch, revision, result } => {
            format!("batch {batch}, revision {revision}: result {result}")
        }
        Ended::Failed { batch, revision, reason } => {
            format!("batch {batch}, revision {revision}: given back: {reason}")
        }
        Ended::Lost { batch, revision } => {
            format!("batch {batch}, revision {revision}: another worker has it")
        }
    }
}
