//! What appends were told, held against what the log has in the end.

use std::collections::HashMap;
use std::sync::Mutex;

use engines::kafka::KafkaLog;
use infra::log::{Append, Appended, Error, Result};
use schemas::topic::Topic;

use crate::rig::{draft, texts};

/// Every append, and its answer.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Entry>>);

/// Where each text is in a topic.
type Places = HashMap<String, Vec<usize>>;

fn places(texts: Vec<String>) -> Places {
    let mut places = Places::new();
    for (at, text) in texts.into_iter().enumerate() {
        places.entry(text).or_default().push(at);
    }
    places
}

struct Entry {
    topic: Topic,
    name: String,
    drafts: usize,
    answer: Result<Appended>,
}

/// How many answers were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) stored: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
}

impl Ledger {
    /// Appends `drafts` records `<name>/0`, `<name>/1` … and keeps the answer.
    pub(crate) async fn append(
        &self,
        log: &KafkaLog,
        topic: &Topic,
        name: String,
        drafts: usize,
    ) -> Result<Appended> {
        let said = (0..drafts).map(|n| draft(format!("{name}/{n}"))).collect();
        let answer = log.append(topic, said).await;
        let entry = Entry { topic: topic.clone(), name, drafts, answer: answer.clone() };
        self.0.lock().unwrap().push(entry);
        answer
    }

    /// The answers so far.
    pub(crate) fn answers(&self) -> Answers {
        let mut answers = Answers::default();
        for entry in self.0.lock().unwrap().iter() {
            match &entry.answer {
                Ok(_) => answers.stored += 1,
                Err(Error::Refused { .. }) => answers.refused += 1,
                Err(Error::Unknown(_)) => answers.unknown += 1,
                Err(other) => panic!("{}: {other}", entry.name),
            }
        }
        answers
    }

    /// Reads the topics: what was stored is there, once, in order, at its offset; what was refused
    /// is not; of what is unknown there is a prefix.
    pub(crate) async fn judge(&self, log: &KafkaLog, topics: &[Topic]) {
        let mut there: HashMap<Topic, Places> = HashMap::new();
        for topic in topics {
            there.insert(topic.clone(), places(texts(log, topic).await));
        }
        let mut violations = Vec::new();
        for entry in self.0.lock().unwrap().iter() {
            if let Err(violation) = entry.judge(&there[&entry.topic]) {
                violations.push(format!("{} {:?}: {violation}", entry.name, entry.answer));
            }
        }
        assert_eq!(violations, [""; 0]);
    }
}

impl Entry {
    fn judge(&self, there: &Places) -> Result<(), String> {
        let mut places = Vec::new();
        for n in 0..self.drafts {
            let said = format!("{}/{n}", self.name);
            let found = there.get(&said).map_or(&[][..], Vec::as_slice);
            match *found {
                [] => {}
                [at] if places.len() == n => places.push(at),
                [_] => return Err(format!("{said} is there, one before it is not")),
                _ => return Err(format!("{said} is there {} times", found.len())),
            }
        }
        if !places.is_sorted() {
            return Err(format!("out of order: {places:?}"));
        }
        match &self.answer {
            Ok(appended) if places.len() < self.drafts => {
                Err(format!("only {} are there, told {appended:?}", places.len()))
            }
            Ok(appended) if places.last().map(|at| *at as u64) != Some(appended.last) => {
                Err(format!("at {places:?}"))
            }
            Err(Error::Unknown(_)) | Ok(_) => Ok(()),
            Err(_) if places.is_empty() => Ok(()),
            Err(_) => Err(format!("{} are there", places.len())),
        }
    }
}

#[test]
fn the_ledger_finds_what_is_wrong() {
    let entry = |answer| Entry { topic: Topic::named("t"), name: "a".into(), drafts: 2, answer };
    let at = schemas::time::LogTime::from_millis(0);
    let stored = Ok(Appended { last: 2, at });
    let refused = Err(Error::Misconfigured(String::new()));
    let unknown = Err(Error::Unknown(String::new()));
    for (answer, there, good) in [
        (&stored, vec!["x", "a/0", "a/1"], true),
        (&stored, vec!["x", "y", "a/0"], false),
        (&stored, vec!["a/0", "a/1"], false),
        (&stored, vec!["a/1", "x", "a/0"], false),
        (&stored, vec!["a/0", "x", "a/1", "a/0"], false),
        (&refused, vec!["x"], true),
        (&refused, vec!["a/0"], false),
        (&unknown, vec![], true),
        (&unknown, vec!["a/0"], true),
        (&unknown, vec!["a/1"], false),
    ] {
        let texts = there.iter().map(|text| (*text).to_owned()).collect();
        let judged = entry(answer.clone()).judge(&places(texts));
        assert_eq!(judged.is_ok(), good, "{answer:?} {there:?}");
    }
}
