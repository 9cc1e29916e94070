//! Where the daemon listens: a unix socket, or plain HTTP with or without `/v3` behind it.

use std::fmt;

use reqwest::Url;

use crate::failure::Failure;

/// Where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A unix socket; the peer's credentials decide who one is.
    Unix(String),
    /// `http://host:port`, without a path.
    Http(String),
}

impl Endpoint {
    /// `unix:/path` or `http://host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Endpoint::Unix(path.to_owned()));
        }
        let bad = |why: &str| {
            Failure::usage(
                &format!("the endpoint `{text}` {why}"),
                "write unix:/run/ashlar/api.sock or http://127.0.0.1:8776",
            )
        };
        let url = Url::parse(text).map_err(|_| bad("is neither unix:/path nor a URL"))?;
        if url.scheme() != "http" {
            return Err(bad(
                "is not plain http; put a proxy in front of TLS, or use the socket",
            ));
        }
        let path = url
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/v3")
            .to_owned();
        let mut base = url;
        base.set_path(&path);
        Ok(Endpoint::Http(
            base.as_str().trim_end_matches('/').to_owned(),
        ))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix:{path}"),
            Endpoint::Http(base) => f.write_str(base),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn endpoints_are_sockets_or_plain_http_with_or_without_v3() {
        let http = |text: &str| Endpoint::Http(text.to_owned());
        let unix = |text: &str| Endpoint::Unix(text.to_owned());
        assert_eq!(
            Endpoint::parse("unix:/run/a.sock").unwrap(),
            unix("/run/a.sock")
        );
        assert_eq!(
            Endpoint::parse("unix:///run/a.sock").unwrap(),
            unix("/run/a.sock")
        );
        assert_eq!(
            Endpoint::parse("http://h:8776").unwrap(),
            http("http://h:8776")
        );
        assert_eq!(
            Endpoint::parse("http://h:8776/v3/").unwrap(),
            http("http://h:8776")
        );
        for text in ["", "h:8776", "https://h", "/run/a.sock"] {
            assert_eq!(
                Endpoint::parse(text).unwrap_err().exit,
                Exit::Usage,
                "{text}"
            );
        }
    }
}
