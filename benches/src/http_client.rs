//! One HTTP/1.1 connection, one request at a time.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The connection.
#[derive(Debug)]
pub struct Client(BufReader<TcpStream>);

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Names and values of its headers, in their order, the names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(one, _)| one == name);
        header.map(|(_, value)| value.as_str())
    }

    /// The body of a success, which is JSON; `Null`: it has none.
    pub fn json(&self) -> Result<Value, Box<dyn Error>> {
        match (self.status, self.body.as_str()) {
            (200..=299, "") => Ok(Value::Null),
            (200..=299, body) => Ok(serde_json::from_str(body)?),
            (status, body) => Err(format!("{status}: {body}").into()),
        }
    }
}

impl Client {
    /// Connects.
    pub async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks for what is there.
    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .await
    }

    /// Sends a body of JSON.
    pub async fn post(&mut self, path: &str, json: &str) -> io::Result<Answer> {
        let length = json.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
        ))
        .await
    }

    /// Asks as whoever has the access token; what a success answers.
    pub async fn ask_as(
        &mut self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Box<dyn Error>> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        let kind = match length {
            0 => "",
            _ => "content-type: application/json\r\n",
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{kind}content-length: {length}\r\n\r\n{body}"
        );
        let answer = self.ask(&request).await?.json();
        answer.map_err(|error| format!("{method} {path}: {error}").into())
    }

    /// Logs in; the access token.
    pub async fn log_in(&mut self, name: &str, password: &str) -> Result<String, Box<dyn Error>> {
        let login = json!({ "login": name, "password": password }).to_string();
        let answer = self.post("/api/v1/session", &login).await?.json()?;
        let token = answer["access_token"].as_str();
        Ok(token.ok_or("an answer without a token")?.to_owned())
    }

    async fn ask(&mut self, request: &str) -> io::Result<Answer> {
        self.0.get_mut().write_all(request.as_bytes()).await?;
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or_else(invalid)?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).await? == 0 {
                return Err(invalid());
            }
            if line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(invalid)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: String::new(),
        };
        let length = answer.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().map_err(|_| invalid())?];
        self.0.read_exact(&mut body).await?;
        answer.body = String::from_utf8(body).map_err(|_| invalid())?;
        Ok(answer)
    }
}
