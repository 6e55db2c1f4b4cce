//! Notices over a WebSocket: one text message each. The listener renews its token on the way.

use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use infra::http::serve::Draining;
use infra::http::socket::{Farewell, Hung, Said, Socket, Upgrade, offered};
use schemas::api::{Listening, RenewStream, StreamRenewed};
use schemas::problem::Code;
use serde::Serialize;

use super::Hearing;
use super::event::Word;
use crate::read::Reading;

/// What is spoken.
const PROTOCOL: &str = "sluice.notices.v1";
/// Signs of life in a row that a listener may leave without an answer.
const UNANSWERED_MAX: u32 = 2;
/// Frames that a listener may send between two signs of life.
const FRAMES_MAX: u32 = 50;

/// One who listens.
struct Listener {
    socket: Socket,
    reading: Reading,
    hearing: Hearing,
    /// Signs of life since anything was heard of it.
    unanswered: u32,
    /// Frames since the last sign of life.
    frames: u32,
}

pub(super) fn answer(
    upgrade: Upgrade,
    headers: &HeaderMap,
    reading: Reading,
    hearing: Hearing,
    draining: Draining,
) -> Response {
    let protocol = offered(headers).any(|word| word == PROTOCOL).then_some(PROTOCOL);
    upgrade.speak(protocol, async move |socket| {
        let mut listener = Listener { socket, reading, hearing, unanswered: 0, frames: 0 };
        let hung = tokio::select! {
            hung = listener.speak() => hung,
            () = draining.begun() => Hung::Wrong(Farewell::GoingAway),
        };
        if let Hung::Wrong(why) = hung {
            listener.socket.close(why).await;
        }
    })
}

impl Listener {
    async fn speak(&mut self) -> Hung {
        if let Some(after) = self.hearing.after
            && !self.tell(&Listening { after }).await
        {
            return Hung::Gone;
        }
        loop {
            let step = tokio::select! {
                heard = self.hearing.heard.next() => self.pass_on(heard).await,
                said = self.socket.hear() => match said {
                    Ok(said) => self.hear(said).await,
                    Err(hung) => Err(hung),
                },
            };
            if let Err(hung) = step {
                return hung;
            }
        }
    }

    async fn tell(&mut self, said: &impl Serialize) -> bool {
        let text = serde_json::to_vec(said).expect("texts and numbers always serialise");
        self.socket.tell(Bytes::from(text)).await
    }

    async fn pass_on(&mut self, heard: Option<std::io::Result<Word>>) -> Result<(), Hung> {
        // What waits for a listener whose token has died meanwhile is not told any more.
        if self.reading.hub.has_ended(&self.hearing.lease) {
            return Err(Hung::Wrong(Farewell::TokenEnded));
        }
        let told = match heard {
            Some(Ok(Word::Notice(event))) => {
                let told = self.socket.tell(event.json()).await;
                if event.farewell {
                    return Err(Hung::Wrong(Farewell::Forbidden));
                }
                told
            }
            Some(Ok(Word::Alive)) if self.unanswered == UNANSWERED_MAX => false,
            Some(Ok(Word::Alive)) => {
                (self.unanswered, self.frames) = (self.unanswered + 1, 0);
                self.socket.ping().await
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "what a listener missed cannot be read");
                return Err(Hung::Wrong(Farewell::Internal));
            }
            // Let go: it was too slow.
            None => return Err(Hung::Wrong(Farewell::ComeBack)),
        };
        if told { Ok(()) } else { Err(Hung::Gone) }
    }

    async fn hear(&mut self, said: Said) -> Result<(), Hung> {
        (self.unanswered, self.frames) = (0, self.frames + 1);
        if self.frames > FRAMES_MAX {
            return Err(Hung::Wrong(Farewell::Flood));
        }
        let Said::Text(text) = said else { return Ok(()) };
        let Ok(RenewStream { token }) = serde_json::from_str(&text) else {
            return Err(Hung::Wrong(Farewell::Unsupported));
        };
        let caller = self.reading.access.bearer(&token).await.map_err(|refused| {
            Hung::Wrong(match refused.code() {
                Code::InvalidToken => Farewell::TokenEnded,
                _ => Farewell::ComeBack,
            })
        })?;
        if !self.hearing.lease.renew(&caller) {
            return Err(Hung::Wrong(Farewell::Forbidden));
        }
        let renewed = StreamRenewed { renewed_until: caller.expires_at };
        if self.tell(&renewed).await { Ok(()) } else { Err(Hung::Gone) }
    }
}
