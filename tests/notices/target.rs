//! A target of webhooks: a server that writes down what it is sent, and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName};

use super::SOON;

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Status(u16),
    Redirect(String),
    /// Nothing, for as long as the other side waits.
    Nothing,
    /// The connection is cut.
    Cut,
    /// 200, and a body without an end.
    Endless,
}

pub(super) struct Target {
    pub(super) url: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    messages: mpsc::UnboundedReceiver<Message>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Target {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let (said, messages) = mpsc::unbounded_channel();
        let next = Arc::clone(&answers);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&next), said.clone()));
            }
        });
        Self { url, answers, messages, task }
    }

    /// Answers so, one after the other; 204 when there is no more of it.
    pub(super) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub(super) async fn next(&mut self) -> Message {
        let next = tokio::time::timeout(SOON, self.messages.recv()).await;
        next.expect("a message in time").unwrap()
    }

    /// What has come by now and was not looked at.
    pub(super) fn rest(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.messages.try_recv().ok()).collect()
    }
}

impl Message {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(super) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether it is signed with this secret, as another implementation has it.
    pub(super) fn is_signed(&self, secret: &str) -> bool {
        let webhook = Webhook::new(secret).unwrap();
        webhook.verify(&self.body, &self.headers).is_ok()
    }
}

async fn serve(
    stream: TcpStream,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    said: mpsc::UnboundedSender<Message>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(message) = receive(&mut stream).await {
        let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(204));
        _ = said.send(message);
        let head = match answer {
            Answer::Status(204) => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Answer::Status(code) => format!("HTTP/1.1 {code} x\r\ncontent-length: 0\r\n\r\n"),
            Answer::Redirect(to) => {
                format!("HTTP/1.1 307 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
            }
            Answer::Nothing => std::future::pending().await,
            Answer::Cut => return,
            Answer::Endless => {
                let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let mut sent = stream.write_all(head).await;
                while sent.is_ok() {
                    sent = stream.write_all(b"4\r\nmore\r\n").await;
                }
                return;
            }
        };
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn receive(stream: &mut BufReader<TcpStream>) -> Option<Message> {
    let mut headers = HeaderMap::new();
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    assert!(line.starts_with("POST /hook HTTP/1.1"), "{line}");
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Message { headers, body })
}
