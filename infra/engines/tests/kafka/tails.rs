//! x
use crate::rig::{self, draft, soon};
use infra::log::{Append, Find, Read};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn probe() {
    let log = rig::open(&rig::broker("x").unwrap());
    let mut tail = log.tail(1 << 20).await.unwrap();
    for i in 0..12 {
        let t = rig::fresh("probe");
        let a = Instant::now();
        log.ensure(&t).await.unwrap();
        let b = Instant::now();
        log.append(&t, vec![draft("x")]).await.unwrap();
        let c = Instant::now();
        log.append(&t, vec![draft("x")]).await.unwrap();
        let c2 = Instant::now();
        let p = log.find(&t, Find::Start).await.unwrap();
        let d = Instant::now();
        if i % 4 == 0 {
            tail = log.tail(1 << 20).await.unwrap();
        }
        tail.watch(&t, Some(p));
        soon(tail.next()).await.unwrap();
        let e = Instant::now();
        log.append(&t, vec![draft("x")]).await.unwrap();
        let f = Instant::now();
        soon(tail.next()).await.unwrap();
        let g = Instant::now();
        eprintln!(
            "ensure {:?} append1 {:?} append2 {:?} find {:?} watch→chunk {:?} append {:?} →chunk {:?}",
            b - a,
            c - b,
            c2 - c,
            d - c2,
            e - d,
            f - e,
            g - f
        );
    }
}
