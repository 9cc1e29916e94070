//! A server for tests that answers what it is told to and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::{Client, Endpoint, Writes};
use crate::Session;
use crate::output::Form;

/// What is answered to requests whose line begins so: code and body.
pub(crate) type Answers = Vec<(&'static str, u16, String)>;

/// The server; it ends with the process of the tests.
pub(crate) struct StandIn {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    /// Answers each request by the first line that fits; an answer that was given is used up, but for the last of its
    /// kind.
    pub(crate) fn new(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut answers = answers;
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = String::new();
                let mut body_len = 0;
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    let lower = line.to_lowercase();
                    if let Some(len) = lower.strip_prefix("content-length:") {
                        body_len = len.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; body_len];
                stream.read_exact(&mut body).unwrap();
                let (code, text) = answer(&mut answers, &head);
                remembered
                    .lock()
                    .unwrap()
                    .push(head + &String::from_utf8(body).unwrap());
                let kind = if text.starts_with('{') {
                    "application/json"
                } else {
                    "text/event-stream"
                };
                let _ = write!(
                    stream.get_mut(),
                    "HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        Self { endpoint, asked }
    }

    /// What was asked so far: heads and bodies.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// A client of it in the project `p`.
    pub(crate) fn client(&self, writes: Writes) -> Client {
        let endpoint = Endpoint::parse(&self.endpoint).unwrap();
        Client::new(endpoint, None, Some("p".to_owned()), writes, false)
    }

    /// A session with it.
    pub(crate) fn session(&self, writes: Writes) -> Session {
        Session {
            client: self.client(writes),
            form: Form::Table,
            wait: None,
            may_ask: false,
            dry_run: writes == Writes::Told,
            if_match: None,
        }
    }
}

fn answer(answers: &mut Answers, head: &str) -> (u16, String) {
    let fits = |(begin, ..): &(&str, u16, String)| head.starts_with(begin);
    let Some(position) = answers.iter().position(fits) else {
        let body =
            r#"{"itemNotFound": {"code": 404, "message": "The resource could not be found."}}"#;
        return (404, body.to_owned());
    };
    let (begin, code, text) = answers[position].clone();
    let is_last = answers.iter().filter(|(other, ..)| *other == begin).count() == 1;
    if !is_last {
        answers.remove(position);
    }
    (code, text)
}
