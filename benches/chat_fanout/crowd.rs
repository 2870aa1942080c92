//! All who listen, and some who talk.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use benches::quantiles::Quantiles;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Connections that are opened at once.
const AT_ONCE: usize = 100;

/// Those who talk, in turn. A socket of Nova's may say four things a second, whatever they are.
const TALKERS: usize = 20;

/// Messages in a second that those who talk may say, where so many listen.
pub(crate) fn max_rate(sockets: usize) -> u64 {
    3 * sockets.min(TALKERS) as u64
}

/// How long a message may take to the last.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why somebody did not hear everything.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the server speaks.
#[derive(Clone)]
pub(crate) enum Protocol {
    /// `/ws`, and the access token of who talks.
    Nova(String),
    /// That of axum's example: a name, then texts.
    Example,
}

impl Protocol {
    /// Opens a socket and is in the room.
    async fn join(&self, address: SocketAddr, number: usize) -> Result<Socket, Failure> {
        let (mut socket, _) = connect_async(format!("ws://{address}/ws")).await?;
        match self {
            Self::Nova(token) => {
                let is_talker = number < TALKERS;
                let shown = is_talker.then(|| format!("Bearer {token}"));
                let hello = json!({ "type": "hello", "version": 1, "authorization": shown });
                say(&mut socket, hello.to_string()).await?;
                say(&mut socket, r#"{"type":"join","room":"demo"}"#.to_owned()).await?;
                loop {
                    let heard = hear(&mut socket).await?;
                    let heard: Value = serde_json::from_str(&heard)?;
                    match heard["type"].as_str() {
                        Some("joined") => break,
                        Some("welcome" | "presence") => {}
                        _ => return Err(format!("not let in: {heard}").into()),
                    }
                }
            }
            Self::Example => say(&mut socket, format!("u{number}")).await?,
        }
        Ok(socket)
    }

    /// A message that says when it was said.
    fn message(&self, text: &str) -> String {
        match self {
            Self::Nova(_) => json!({ "type": "send", "text": text }).to_string(),
            Self::Example => text.to_owned(),
        }
    }

    /// When what was heard was said, if it is a message.
    fn said_at(&self, heard: &str) -> Result<Option<u64>, Failure> {
        let text = match self {
            Self::Nova(_) => {
                let heard: Value = serde_json::from_str(heard)?;
                match heard["type"].as_str() {
                    Some("message") => heard["message"]["text"].as_str().map(str::to_owned),
                    Some("error" | "left") => return Err(heard.to_string().into()),
                    _ => None,
                }
            }
            Self::Example => heard.split_once(": ").map(|(_, text)| text.to_owned()),
        };
        let said = text.as_deref().and_then(|text| text.split(' ').next());
        Ok(said.map(str::parse).transpose()?)
    }
}

async fn say(socket: &mut Socket, text: String) -> Result<(), Failure> {
    Ok(socket.send(Message::Text(text.into())).await?)
}

async fn hear(socket: &mut Socket) -> Result<String, Failure> {
    loop {
        match socket.next().await.ok_or("closed")?? {
            Message::Text(text) => return Ok(text.to_string()),
            Message::Close(frame) => return Err(format!("closed: {frame:?}").into()),
            _ => {}
        }
    }
}

/// Everybody in the room. The first talk, and listen as all do.
pub(crate) struct Crowd {
    protocol: Protocol,
    sockets: Vec<Socket>,
}

/// What everybody heard.
pub(crate) struct Heard {
    pub(crate) deliveries: u64,
    pub(crate) span: Duration,
    pub(crate) delays: Quantiles,
}

impl Crowd {
    pub(crate) async fn gather(
        address: SocketAddr,
        protocol: &Protocol,
        count: usize,
    ) -> Result<Self, Failure> {
        let mut sockets = Vec::with_capacity(count);
        for from in (0..count).step_by(AT_ONCE) {
            let mut joining = JoinSet::new();
            for number in from..count.min(from + AT_ONCE) {
                let protocol = protocol.clone();
                joining.spawn(async move { (number, protocol.join(address, number).await) });
            }
            let mut joined = joining.join_all().await;
            joined.sort_by_key(|(number, _)| *number);
            for (_, socket) in joined {
                sockets.push(socket?);
            }
        }
        Ok(Self {
            protocol: protocol.clone(),
            sockets,
        })
    }

    /// Has some talk for so long, and everybody hear all of it.
    pub(crate) async fn hear(self, rate: u64, seconds: u64) -> Result<Heard, Failure> {
        let (epoch, count) = (Instant::now(), rate * seconds);
        let mut listening = JoinSet::new();
        let mut talkers = Vec::with_capacity(TALKERS);
        for socket in self.sockets {
            let (sink, stream) = socket.split();
            let protocol = self.protocol.clone();
            if talkers.len() < TALKERS {
                talkers.push(sink);
                listening.spawn(listen(protocol, None, stream, count, epoch));
            } else {
                // The sink answers pings: it is held.
                listening.spawn(listen(protocol, Some(sink), stream, count, epoch));
            }
        }
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate)?);
        let padding = "what somebody says in a chat has about so many words";
        let turns = (0..talkers.len()).cycle();
        for (_, turn) in (0..count).zip(turns) {
            ticks.tick().await;
            let text = format!("{} {padding}", epoch.elapsed().as_micros());
            let message = Message::Text(self.protocol.message(&text).into());
            talkers[turn].send(message).await?;
        }
        let mut delays = Vec::new();
        while let Some(listened) = timeout(DEADLINE, listening.join_next()).await? {
            delays.extend(listened??);
        }
        Ok(Heard {
            deliveries: delays.len() as u64,
            span: epoch.elapsed(),
            delays: Quantiles::of_times(delays),
        })
    }
}

/// Hears so many messages; how long each took.
async fn listen(
    protocol: Protocol,
    sink: Option<SplitSink<Socket, Message>>,
    mut stream: SplitStream<Socket>,
    count: u64,
    epoch: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut delays = Vec::new();
    while (delays.len() as u64) < count {
        let text = match stream.next().await.ok_or("closed")?? {
            Message::Text(text) => text,
            Message::Close(frame) => return Err(format!("closed: {frame:?}").into()),
            _ => continue,
        };
        if let Some(said_at) = protocol.said_at(&text)? {
            let delay = epoch
                .elapsed()
                .saturating_sub(Duration::from_micros(said_at));
            delays.push(delay);
        }
    }
    drop(sink);
    Ok(delays)
}
