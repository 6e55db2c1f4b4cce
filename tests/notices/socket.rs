//! Over a WebSocket: what it tells, how it goes on, how it ends.

use futures_util::{SinkExt as _, StreamExt as _};
use schemas::api::{Notice, Noticed};
use schemas::event::PoolState;
use schemas::id::AccountId;
use schemas::role::{Role, RoleSet};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{PASSWORD, SOON, World};

struct Socket {
    stream: WebSocketStream<TcpStream>,
    headers: HeaderMap,
}

impl World {
    /// Asks for a WebSocket: the open one, or the status of the refusal.
    async fn connect(&self, query: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let url = format!("ws://{}/v1/pools/{}/notices{query}", self.address(), self.pool);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address()).await.unwrap();
        match client_async(request, stream).await {
            Ok((stream, answer)) => Ok(Socket { stream, headers: answer.headers().clone() }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn listen(&self, query: &str, token: &str) -> Socket {
        let bearer = format!("Bearer {token}");
        self.connect(query, &[("authorization", &bearer)]).await.unwrap()
    }
}

impl Socket {
    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(SOON, self.stream.next()).await.expect("in time");
            match next.expect("it is open").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }

    async fn hears(&mut self) -> Value {
        serde_json::from_str(self.next().await.to_text().unwrap()).unwrap()
    }

    /// The next notice, and where it is.
    async fn noticed(&mut self) -> (u64, Notice) {
        let noticed: Noticed = serde_json::from_value(self.hears().await).unwrap();
        (noticed.id.unwrap(), noticed.notice)
    }

    async fn says(&mut self, message: impl Into<Message>) {
        self.stream.send(message.into()).await.unwrap();
    }

    /// The code it is closed with.
    async fn ends(mut self) -> u16 {
        match self.next().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("it goes on: {other}"),
        }
    }
}

const PAUSED: Notice = Notice::Pool { state: PoolState::Paused };
const OPEN: Notice = Notice::Pool { state: PoolState::Open };

#[tokio::test]
async fn a_socket_and_pages_tell_the_same_and_go_on_where_they_were() {
    let world = World::new(&[]).await;
    let mut socket = world.listen("", &world.token).await;
    let begin = socket.hears().await["after"].as_u64().unwrap();
    world.ada.pause(&world.pool).await.unwrap();
    let (paused, notice) = socket.noticed().await;
    assert!(paused > begin && notice == PAUSED, "{paused} {notice:?}");
    drop(socket);
    world.ada.resume(&world.pool).await.unwrap();
    // What happened meanwhile comes first, then what happens now; nothing twice.
    let mut socket = world.listen(&format!("?after={paused}"), &world.token).await;
    let (open, notice) = socket.noticed().await;
    assert!(open > paused && notice == OPEN, "{open} {notice:?}");
    world.ada.pause(&world.pool).await.unwrap();
    let (again, notice) = socket.noticed().await;
    assert!(again > open && notice == PAUSED, "{again} {notice:?}");

    let page = world.ada.notices_page(&world.pool, Some(begin), SOON).await.unwrap();
    let told: Vec<_> = page.items.iter().map(|item| (item.id, item.notice.clone())).collect();
    assert_eq!(told, [(Some(paused), PAUSED), (Some(open), OPEN), (Some(again), PAUSED)]);
    assert_eq!(page.after, again);
    let now = std::time::Duration::ZERO;
    let nothing = world.ada.notices_page(&world.pool, Some(page.after), now).await.unwrap();
    assert_eq!((nothing.items.len(), nothing.after), (0, again));
    // A page that waits is answered by what happens.
    let waiting = world.ada.notices_page(&world.pool, Some(page.after), SOON);
    let (waited, resumed) = tokio::join!(waiting, world.ada.resume(&world.pool));
    resumed.unwrap();
    let waited = waited.unwrap();
    assert_eq!(waited.items.len(), 1);
    assert_eq!((&waited.items[0].notice, waited.items[0].id), (&OPEN, Some(waited.after)));
    let fresh = world.ada.notices_page(&world.pool, None, now).await.unwrap();
    assert_eq!((fresh.items.len(), fresh.after), (0, waited.after), "from now on");
}

#[tokio::test]
async fn a_socket_lives_as_long_as_the_newest_token_shown_on_it() {
    let world = World::new(&[]).await;
    // As a browser does, which may set no header.
    let offered = format!("sluice.notices.v1, bearer.{}", world.token);
    let offered = [("sec-websocket-protocol", offered.as_str())];
    let mut socket = world.connect("", &offered).await.unwrap();
    assert_eq!(socket.headers["sec-websocket-protocol"], "sluice.notices.v1");
    socket.hears().await;
    let ada = "ada".parse().unwrap();
    let second = world.server.client().log_in(&ada, PASSWORD).await.unwrap();
    socket.says(json!({ "token": second.access_token }).to_string()).await;
    assert!(socket.hears().await["renewed_until"].is_string());
    world.ada.log_out(&ada).await.unwrap();
    let client = world.server.client().signed_in(&second.access_token);
    client.pause(&world.pool).await.unwrap();
    assert_eq!(socket.noticed().await.1, PAUSED, "the first token's end is not the stream's");
    client.log_out(&ada).await.unwrap();
    let since = std::time::Instant::now();
    assert_eq!(socket.ends().await, 3000);
    assert!(since.elapsed().as_secs() < 2, "{:?}", since.elapsed());
    assert_eq!(world.connect("", &offered).await.err(), Some(401));
}

#[tokio::test]
async fn who_may_not_listen_or_says_what_is_not_for_us_is_told_so() {
    let world = World::new(&[]).await;
    let bearer = format!("Bearer {}", world.token);
    let client = world.server.client();
    let bob = client.sign_up(&"bob".parse().unwrap(), PASSWORD).await.unwrap();
    let strangers = format!("Bearer {}", bob.access_token);
    let refused = async |headers: &[(&'static str, &str)]| world.connect("", headers).await.err();
    assert_eq!(refused(&[]).await, Some(401));
    assert_eq!(refused(&[("authorization", &strangers)]).await, Some(404));
    let old = [("authorization", bearer.as_str()), ("sec-websocket-version", "8")];
    assert_eq!(refused(&old).await, Some(400));
    let key = [("authorization", bearer.as_str()), ("sec-websocket-key", "c2hvcnQ=")];
    assert_eq!(refused(&key).await, Some(400));
    let bad = world.connect("?after=yesterday", &[("authorization", &bearer)]).await.err();
    assert_eq!(bad, Some(400));

    let ends = async |said: Message| {
        let mut socket = world.listen("?after=0", &world.token).await;
        socket.says(said).await;
        socket.ends().await
    };
    assert_eq!(ends(Message::text("hello")).await, 1003);
    assert_eq!(ends(Message::binary(vec![1, 2])).await, 1003);
    assert_eq!(ends(Message::text("x".repeat(20_000))).await, 1009);
    assert_eq!(ends(Message::text(json!({ "token": "a.b.c" }).to_string())).await, 3000);
    let anothers = json!({ "token": bob.access_token }).to_string();
    assert_eq!(ends(Message::text(anothers)).await, 3003);
    let mut socket = world.listen("?after=0", &world.token).await;
    for _ in 0..51 {
        socket.says(Message::Ping(vec![].into())).await;
    }
    assert_eq!(socket.ends().await, 1008);

    // Whoever is removed is told, and let go.
    let account: AccountId = bob.user_id;
    world.ada.add_member(&world.pool, account, RoleSet::of(&[Role::Listener])).await.unwrap();
    let mut socket = world.listen("", &bob.access_token).await;
    socket.hears().await;
    world.ada.remove_member(&world.pool, account).await.unwrap();
    assert_eq!(socket.noticed().await.1, Notice::Removed { account });
    assert_eq!(socket.ends().await, 3003);
}

impl World {
    /// How many connections the server says it holds, this one among them.
    async fn connections(&self) -> usize {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix("sluice_http_connections ")?.parse().ok()).unwrap()
    }
}

#[tokio::test]
async fn sockets_hold_their_places_and_end_with_the_server() {
    let mut world = World::new(&[]).await;
    let before = world.connections().await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(world.listen("?after=0", &world.token).await);
    }
    assert_eq!(world.connections().await, before + 5);
    assert!(world.server.stop().is_some_and(|status| status.success()));
    for socket in sockets {
        assert_eq!(socket.ends().await, 1001);
    }
}
