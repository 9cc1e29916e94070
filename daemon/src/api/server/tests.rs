use super::*;
use crate::api::tests::fixture::fixture;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for an answer that must come.
const DEADLINE: Duration = Duration::from_secs(20);

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Sends bytes and reads until the other side is done.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, sent: &[u8]) -> String {
    let all = async {
        // A server that refuses may close while we still send.
        let _ = stream.write_all(sent).await;
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        String::from_utf8_lossy(&got).into_owned()
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap()
}

const HEALTH: &[u8] = b"GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const WHOAMI: &[u8] = b"GET /ashlar/v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn both_ways_in_until_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api.sock");
    let listen = Listen {
        unix: Some((path.clone(), 0o600)),
        tcp: Some(anywhere()),
    };
    let server = Server::bind(&listen, AuthMode::Token).await.unwrap();
    let address = server.tcp_address().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let api = fixture(AuthMode::Token).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(api.door.clone(), stop.clone()));

    let unix = exchange(UnixStream::connect(&path).await.unwrap(), WHOAMI).await;
    assert!(
        unix.starts_with("HTTP/1.1 200") && unix.contains("\"role\":\"admin\""),
        "{unix}"
    );
    let tcp = exchange(TcpStream::connect(address).await.unwrap(), WHOAMI).await;
    assert!(tcp.starts_with("HTTP/1.1 401"), "{tcp}");
    let tcp = exchange(TcpStream::connect(address).await.unwrap(), HEALTH).await;
    assert!(tcp.starts_with("HTTP/1.1 200"), "{tcp}");

    // An idle connection does not hold up the end.
    let idle = TcpStream::connect(address).await.unwrap();
    stop.cancel();
    tokio::time::timeout(DEADLINE, running)
        .await
        .unwrap()
        .unwrap();
    assert!(!path.exists());
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_is_no_http_or_too_much_of_it_is_refused() {
    let listen = Listen {
        unix: None,
        tcp: Some(anywhere()),
    };
    let server = Server::bind(&listen, AuthMode::Token).await.unwrap();
    let address = server.tcp_address().unwrap();
    let api = fixture(AuthMode::Token).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(api.door.clone(), stop.clone()));
    let huge = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(500));
    for nonsense in [
        b"\x16\x03\x01\x02\x00\x01".as_slice(),
        b"HELO x\r\n\r\n",
        huge.as_bytes(),
        many.as_bytes(),
    ] {
        let got = exchange(TcpStream::connect(address).await.unwrap(), nonsense).await;
        assert!(got.is_empty() || got.starts_with("HTTP/1.1 4"), "{got}");
    }
    let got = exchange(TcpStream::connect(address).await.unwrap(), HEALTH).await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");

    // A body far beyond the limit is taken, so that its sender reads the answer.
    let len = 10 << 20;
    let head = format!(
        "POST /v3/volumes HTTP/1.1\r\nHost: x\r\nX-Auth-Token: member\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
    );
    let sent = [head.into_bytes(), vec![b'x'; len]].concat();
    let got = exchange(TcpStream::connect(address).await.unwrap(), &sent).await;
    assert!(
        got.starts_with("HTTP/1.1 413") && got.contains("overLimit"),
        "{got}"
    );
    stop.cancel();
    tokio::time::timeout(DEADLINE, running)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_a_served_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api.sock");
    let bind = || async {
        let listen = Listen {
            unix: Some((path.clone(), 0o660)),
            tcp: None,
        };
        Server::bind(&listen, AuthMode::Token).await
    };
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = bind().await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    assert!(matches!(bind().await, Err(ListenError::InUse { .. })));
    drop(first);
    assert!(bind().await.is_ok());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(bind().await, Err(ListenError::NotASocket { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[tokio::test]
async fn nobody_is_let_in_without_proof_from_elsewhere() {
    let listen = Listen {
        unix: None,
        tcp: Some(SocketAddr::from(([0, 0, 0, 0], 0))),
    };
    assert!(matches!(
        Server::bind(&listen, AuthMode::None).await,
        Err(ListenError::Exposed { .. })
    ));
    assert!(
        Server::bind(
            &Listen {
                unix: None,
                tcp: Some(anywhere())
            },
            AuthMode::None
        )
        .await
        .is_ok()
    );
}
