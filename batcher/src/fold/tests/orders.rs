//! The order in which files come within the disorder that a pool allows changes nothing: neither
//! where its rules are replaced meanwhile nor where it is paused.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use schemas::event::{Derived, PolicyChangeRequested};
use schemas::id::{AccountId, UploadId};
use schemas::policy::{Gap, Policy, Windows, WindowsAsk};
use schemas::time::{EffectiveAt, Window};

use super::replay::closed;
use super::{BASE, OWNER, Telling, policy};

const DISORDER_MS: i64 = 30_000;

/// What is said beside the files, at a moment of its own: rules of this number, a pause, an end of it.
#[derive(Clone, Copy, Debug)]
enum Said {
    Rules(u8),
    Pause,
    Resume,
}

/// Rules that no file closes a window by: what is in a window does not depend on what came first.
fn rules(number: u8) -> Policy {
    let mut policy = policy(|ask| {
        ask.disorder_ms = Some(u64::try_from(DISORDER_MS).unwrap());
        ask.quantile_permille = Some(1);
        ask.windows = Some(WindowsAsk::Tumbling { period_ms: Some(60_000), origin: None });
    });
    policy.windows = match number % 5 {
        0 => policy.windows,
        1 => Windows::Grid { period_ms: 120_000 },
        2 => Windows::Tumbling { period_ms: 90_000, origin: EffectiveAt::default() },
        3 => Windows::Gap(Gap { gap_ms: 7_000, max_span_ms: 70_000 }),
        _ => Windows::Gap(Gap { gap_ms: 15_000, max_span_ms: 60_000 }),
    };
    policy.close.grace_ms += u64::from(number / 5) * 4_000;
    policy
}

fn saying() -> impl Strategy<Value = (i64, Said)> {
    let said = prop_oneof![
        (0..20_u8).prop_map(Said::Rules),
        (0..20_u8).prop_map(Said::Rules),
        Just(Said::Pause),
        Just(Said::Resume),
    ];
    (2_000..600_000_i64, said)
}

/// Tells a pool all of it, each file as long after its time as its delay; gives its windows, each
/// with its files.
fn tell(
    first: u8,
    said: &[(i64, Said)],
    files: &[(i64, u128)],
    delays: &[i64],
) -> BTreeMap<Window, BTreeSet<UploadId>> {
    let mut pool = Telling::new(4, rules(first));
    let arrivals = files.iter().zip(delays).enumerate();
    let arrival = |(index, ((at, client), delay)): (usize, (&(i64, u128), &i64))| {
        (at + delay, 1, index, Some((*at, *client)), None)
    };
    let others = said.iter().enumerate();
    let other = |(index, (at, said)): (usize, &(i64, Said))| (*at, 0, index, None, Some(*said));
    let mut all: Vec<_> = arrivals.map(arrival).chain(others.map(other)).collect();
    all.sort_by_key(|(clock, rank, index, ..)| (*clock, *rank, *index));
    // The pool has begun before anything else is said.
    pool.at(1_000);
    pool.file(1_000, 1, 1_000);
    for (clock, _, index, file, said) in all {
        pool.at(clock);
        if let Some((at, client)) = file {
            pool.file(u128::try_from(index).unwrap() + 1, client, at);
        }
        match said {
            Some(Said::Rules(number)) => {
                let (by, if_version) = (AccountId::from_bits(OWNER), None);
                let policy = Box::new(rules(number));
                pool.say(PolicyChangeRequested { by, if_version, policy });
            }
            Some(Said::Pause) => drop(pool.pause()),
            Some(Said::Resume) => drop(pool.resume()),
            None => {}
        }
    }
    pool.at(pool.clock + DISORDER_MS);
    pool.resume();
    while pool.state.due().is_some() {
        pool.timer();
    }
    let mut windows = BTreeMap::new();
    let mut of = BTreeMap::new();
    for output in &pool.outputs {
        if let Derived::ManifestPage(page) = &output.body {
            let files: &mut BTreeSet<UploadId> = of.entry(page.batch).or_default();
            files.extend(page.added.iter().map(|file| file.upload));
        }
        if let Some(closed) = closed(&output.body) {
            assert_eq!((closed.part, closed.revision), (1, 1), "nothing came late");
            windows.insert(closed.window, closed.batch);
        }
    }
    let files = |id| of.get(&id).cloned().unwrap_or_default();
    windows.into_iter().map(|(window, batch)| (window, files(batch))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_same_batches_whatever_becomes_of_the_rules(
        first in 0..20_u8,
        said in prop::collection::vec(saying(), 0..6),
        files in prop::collection::vec((1_000..600_000_i64, 1..5_u128), 1..80),
        delays in prop::collection::vec((0..DISORDER_MS, 0..DISORDER_MS), 80),
    ) {
        let (one, other): (Vec<i64>, Vec<i64>) = delays.into_iter().unzip();
        let told = tell(first, &said, &files, &one);
        prop_assert_eq!(&told, &tell(first, &said, &files, &other));
        prop_assert_eq!(&told, &tell(first, &said, &files, &[0; 80]), "nor does none at all");
        let at = |upload: &UploadId| {
            let index = usize::try_from(upload.bits()).unwrap();
            let millis = files.get(index - 1).map_or(1_000, |(at, _)| *at);
            EffectiveAt::from_millis(BASE + millis)
        };
        for (window, files) in &told {
            prop_assert!(files.iter().all(|upload| window.contains(at(upload))));
        }
        let count: usize = told.values().map(BTreeSet::len).sum();
        prop_assert_eq!(count, files.len() + 1, "each file once");
    }
}
