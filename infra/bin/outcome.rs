//! How a command ends: its exit code, and what is said about an error.

use std::io::ErrorKind;
use std::process::ExitCode;

use schemas::problem::Code;

use crate::print::{clean, say};
use crate::session::Session;

/// The exit codes of every command.
pub(crate) const EXITS: [(u8, &str); 8] = [
    (0, "done"),
    (1, "failed"),
    (2, "usage"),
    (3, "done in part"),
    (4, "not signed in or not allowed"),
    (5, "not found"),
    (6, "proved wrong"),
    (130, "interrupted"),
];

/// Shown with the help.
pub(crate) fn exit_codes() -> String {
    let codes: Vec<String> = EXITS.iter().map(|(code, text)| format!("{code} {text}")).collect();
    format!(
        "Exit codes: {}. Data goes to standard output, one JSON object per line with --json; all \
         else goes to standard error.",
        codes.join(", ")
    )
}

/// A command came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// With all of it done.
    Whole,
    /// With some of it done.
    InPart,
    /// Because someone said so.
    Interrupted,
}

/// Nobody is signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotSignedIn(pub(crate) String);

/// What was said on the command line cannot be, or not together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misused(pub(crate) String);

/// Something was checked and is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ProvedWrong(pub(crate) String);

/// The process's exit code; an error is told first.
pub(crate) fn exit_code(outcome: anyhow::Result<Done>, session: &Session) -> ExitCode {
    let code = match outcome {
        Ok(Done::Whole) => 0,
        Ok(Done::InPart) => 3,
        Ok(Done::Interrupted) => 130,
        // Whoever read our output has had enough of it.
        Err(error) if is_closed_pipe(&error) => 0,
        Err(error) => {
            tell(&error, session);
            code_of(&error)
        }
    };
    ExitCode::from(code)
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<Misused>() {
        return 2;
    }
    if error.is::<ProvedWrong>() {
        return 6;
    }
    let status = call_error(error).and_then(client::Error::status);
    match status {
        _ if error.is::<NotSignedIn>() => 4,
        Some(401 | 403) => 4,
        Some(404) => 5,
        _ => 1,
    }
}

fn call_error(error: &anyhow::Error) -> Option<&client::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
    };
    error.chain().any(io)
}

/// Says what went wrong and what to do next: to people in sentences, with `--json` as an object.
pub(crate) fn tell(error: &anyhow::Error, session: &Session) {
    let refusal = call_error(error).and_then(client::Error::refusal);
    let request_id = refusal.and_then(|refusal| refusal.problem.request_id.as_deref());
    let advice = advice(error);
    if session.print.is_json() {
        let code = refusal.map(|refusal| refusal.problem.code.as_str());
        let said = serde_json::json!({
            "error": text(error), "code": code, "advice": advice,
            "request_id": request_id, "exit": code_of(error),
        });
        return say(&said.to_string());
    }
    say(&format!("error: {}", clean(&text(error))));
    if let Some(advice) = advice {
        say(&format!("  {advice}"));
    }
    if let Some(request_id) = request_id {
        say(&format!("  request id {}", clean(request_id)));
    }
}

/// An error and its causes, those left out that the one before has told already.
fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// What to do next, when that is known.
fn advice(error: &anyhow::Error) -> Option<String> {
    let call = call_error(error)?;
    Some(match (call, call.code()) {
        (_, Some(Code::NotSignedIn | Code::InvalidToken)) => {
            "Sign in: sluice login NAME. Programs that run for long set SLUICE_USER and \
             SLUICE_PASSWORD."
                .to_owned()
        }
        (_, Some(code)) => code.advice().to_owned(),
        (client::Error::Unreachable(_), _) => {
            "Is the server running, and is its address right? sluice doctor looks.".to_owned()
        }
        (client::Error::BadAddress(_), _) => {
            "Give it as --server http://HOST:PORT, or in SLUICE_SERVER.".to_owned()
        }
        (client::Error::Foreign { .. }, _) => {
            "Is this a Sluice server? sluice doctor looks.".to_owned()
        }
        _ if call.may_be_done() => {
            "It may have taken effect all the same: look before you repeat it.".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use client::{Error, Refusal};

    fn refused(code: Code) -> anyhow::Error {
        let refusal = Refusal { problem: code.into(), retry_after: None };
        Err::<(), _>(Error::Refused(Box::new(refusal))).context("push a.csv").unwrap_err()
    }

    #[test]
    fn codes() {
        let check =
            |error: anyhow::Error, expected| assert_eq!(code_of(&error), expected, "{error}");
        check(refused(Code::InvalidToken), 4);
        check(refused(Code::Forbidden), 4);
        check(refused(Code::NotFound), 5);
        check(refused(Code::EmptyFile), 1);
        check(NotSignedIn("nobody".into()).into(), 4);
        check(Misused("both".into()).into(), 2);
        check(ProvedWrong("a receipt".into()).into(), 6);
        check(Error::Unreachable("refused".into()).into(), 1);
        check(anyhow::anyhow!("anything"), 1);
    }

    #[test]
    fn causes_are_told_once() {
        let path = std::path::PathBuf::from("a.csv");
        let source = std::io::Error::from(ErrorKind::NotFound);
        let error = anyhow::Error::from(Error::Local { path, source }).context("push");
        assert_eq!(text(&error), "push: a.csv: entity not found");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = std::io::Error::from(ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&anyhow::Error::from(error).context("print")));
        assert!(!is_closed_pipe(&refused(Code::NotFound)));
    }

    #[test]
    fn an_error_says_what_to_do_next() {
        let check = |error: anyhow::Error, expected: &str| {
            assert!(advice(&error).unwrap().contains(expected), "{error}");
        };
        check(refused(Code::InvalidToken), "sluice login");
        check(refused(Code::EmptyFile), "at least one byte");
        check(Error::Unreachable("refused".into()).into(), "sluice doctor");
        check(Error::Cut("reset".into()).into(), "look before you repeat");
        assert_eq!(advice(&anyhow::anyhow!("anything")), None);
    }
}
