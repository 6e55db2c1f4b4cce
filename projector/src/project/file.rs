//! A file's reference, from a row that has its facts.

/// The reference in a row that has a column for each of its facts but whether it is quarantined.
macro_rules! file_of {
    ($row:expr, quarantined: $quarantined:expr) => {{
        let row = $row;
        schemas::file::FileRef {
            quarantined: $quarantined,
            inspections: Vec::new(),
            upload: row.upload,
            client: row.client,
            name: row.name,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
            media_type: row.media_type,
            object: row.object,
            observed_at: row.observed_at,
            sent_at: row.sent_at,
            received_at: row.received_at,
            effective_at: row.effective_at,
            time_source: $crate::project::time_source_of(&row.time_source),
            clamped: row.clamped,
        }
    }};
}

pub(crate) use file_of;
use schemas::file::TimeSource;

/// Where a time comes from, as a row has it.
pub(crate) fn time_source_text(source: TimeSource) -> &'static str {
    match source {
        TimeSource::Client => "client",
        TimeSource::Corrected => "corrected",
        TimeSource::Server => "server",
    }
}

/// What a row's text stands for.
pub(crate) fn time_source_of(text: &str) -> TimeSource {
    match text {
        "server" => TimeSource::Server,
        "corrected" => TimeSource::Corrected,
        _ => TimeSource::Client,
    }
}
