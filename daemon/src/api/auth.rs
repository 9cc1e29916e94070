//! Who may call: on the unix socket the peer's credentials or a token, on TCP a token, and with `auth = "none"`
//! anybody, but then only on loopback.
//!
//! Ashlar's own tokens are 256 random bits, so one fast hash is enough: there is nothing to guess. The record keeps
//! the hash alone, and it is found by an index, so no comparison of secrets takes a time that could tell of them.

use crate::error::Error;
use crate::model::caller::{Caller, Role};
use crate::model::time::Time;
use crate::store::Store;
use crate::store::tokens;
use axum::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// The project of callers that have none of their own: the unix socket's, and those without credentials.
pub const ADMIN_PROJECT: &str = "admin";

/// Our tokens begin so, that a search for leaked secrets finds them.
const PREFIX: &str = "ashlar_";

/// Bytes of randomness in a token.
const SECRET_LEN_BYTES: usize = 32;

/// Project and user ids are at most so long.
pub(super) const ID_LEN_MAX: usize = 64;

/// How callers on TCP prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// By a token of Ashlar's own.
    Token,
    /// Not at all; only on loopback. A token `user:project` names both, as with Cinder's noauth.
    None,
}

/// Where a request comes from, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over the unix socket, from a process of this user.
    Unix {
        /// Its user id.
        uid: u32,
    },
    /// Over TCP.
    Tcp(SocketAddr),
}

/// Settles who asks, or [`Error::Unauthenticated`].
pub(super) async fn identify(
    store: &Store,
    mode: AuthMode,
    peer: Peer,
    headers: &HeaderMap,
    request_id: &str,
) -> Result<Caller, Error> {
    let token = token_of(headers)?;
    match (peer, token, mode) {
        // A token counts on the unix socket too: so root can act as somebody else.
        (Peer::Unix { .. } | Peer::Tcp(_), Some(token), AuthMode::Token) => {
            by_token(store, &token, request_id).await
        }
        (Peer::Unix { uid }, None, _) => by_uid(uid, request_id),
        (Peer::Unix { uid }, token @ Some(_), AuthMode::None) => {
            by_uid(uid, request_id)?;
            anybody(token.as_ref(), request_id)
        }
        (Peer::Tcp(from), token, AuthMode::None) => {
            if !is_loopback(from.ip()) || !asks_loopback(headers) {
                return Err(Error::Unauthenticated);
            }
            anybody(token.as_ref(), request_id)
        }
        (Peer::Tcp(_), None, AuthMode::Token) => Err(Error::Unauthenticated),
    }
}

fn token_of(headers: &HeaderMap) -> Result<Option<SecretString>, Error> {
    let Some(value) = headers.get("x-auth-token") else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Error::Unauthenticated)?;
    Ok(Some(SecretString::from(text)))
}

async fn by_token(store: &Store, token: &SecretString, request_id: &str) -> Result<Caller, Error> {
    let row = tokens::find_by_hash(store, &hash(token))
        .await
        .map_err(|source| Error::Store {
            doing: "read",
            source,
        })?
        .ok_or(Error::Unauthenticated)?;
    if row.expires_at.is_some_and(|expiry| expiry <= Time::now()) {
        return Err(Error::Unauthenticated);
    }
    Ok(Caller {
        project_id: row.project_id,
        user_id: row.user_id,
        role: row.role,
        request_id: request_id.to_owned(),
    })
}

/// Root, and who runs the daemon: either could read its files anyway.
fn by_uid(uid: u32, request_id: &str) -> Result<Caller, Error> {
    let is_ours = uid == 0 || uid == rustix::process::getuid().as_raw();
    if !is_ours {
        return Err(Error::Unauthenticated);
    }
    Ok(Caller {
        project_id: ADMIN_PROJECT.to_owned(),
        user_id: format!("uid:{uid}"),
        role: Role::Admin,
        request_id: request_id.to_owned(),
    })
}

fn anybody(token: Option<&SecretString>, request_id: &str) -> Result<Caller, Error> {
    let text = token.map_or("admin:admin", |token| token.expose_secret());
    let (user, project) = text.split_once(':').unwrap_or((text, ADMIN_PROJECT));
    if !is_id(user) || !is_id(project) {
        return Err(Error::Unauthenticated);
    }
    Ok(Caller {
        project_id: project.to_owned(),
        user_id: user.to_owned(),
        role: Role::Admin,
        request_id: request_id.to_owned(),
    })
}

/// Whether a project or user may be called so.
pub(super) fn is_id(text: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && text != "."
        && text != ".."
}

/// Whether only this machine can come from there.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}

/// Whether the request was meant for this machine: a browser that was led here by a foreign name (DNS rebinding)
/// says that name in `Host`.
fn asks_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get("host").and_then(|host| host.to_str().ok()) else {
        return true;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(is_loopback)
}

/// A fresh token: the text that its owner is shown once.
pub(super) fn fresh_token() -> Result<SecretString, Error> {
    let mut secret = [0u8; SECRET_LEN_BYTES];
    getrandom::fill(&mut secret).map_err(|error| Error::Unavailable {
        what: "The system's source of random numbers",
        why: error.to_string(),
    })?;
    Ok(SecretString::from(format!("{PREFIX}{}", hex(&secret))))
}

/// What the record keeps of a token.
pub(super) fn hash(token: &SecretString) -> String {
    hex(&Sha256::digest(token.expose_secret().as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn named(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_bytes(host.as_bytes()).unwrap());
        asks_loopback(&headers)
    }

    #[test]
    fn a_foreign_name_is_not_meant_for_us() {
        for ours in [
            "localhost",
            "LOCALHOST:8776",
            "127.0.0.1:8776",
            "127.9.9.9",
            "[::1]:8776",
            "[::1]",
        ] {
            assert!(named(ours), "{ours}");
        }
        for foreign in [
            "evil.example:8776",
            "10.0.0.1",
            "localhost.evil.example",
            "[::2]",
            "",
        ] {
            assert!(!named(foreign), "{foreign}");
        }
        assert!(asks_loopback(&HeaderMap::new()));
    }

    #[test]
    fn noauth_names_user_and_project() {
        let who = |text: &str| {
            anybody(Some(&SecretString::from(text)), "r")
                .ok()
                .map(|c| (c.user_id, c.project_id))
        };
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(who("u:p"), pair("u", "p"));
        assert_eq!(who("u"), pair("u", "admin"));
        assert_eq!(anybody(None, "r").unwrap().project_id, "admin");
        for bad in ["", ":", "u:", "u:a/b", "u:..", "u:p:q", "ü:p"] {
            assert_eq!(who(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_socket_trusts_root_and_its_own_user_only() {
        assert_eq!(by_uid(0, "r").unwrap().role, Role::Admin);
        let own = rustix::process::getuid().as_raw();
        assert!(by_uid(own, "r").is_ok());
        assert!(matches!(
            by_uid(own + 12_345, "r"),
            Err(Error::Unauthenticated)
        ));
    }

    #[test]
    fn tokens_are_random_and_kept_as_hashes() {
        let (one, other) = (fresh_token().unwrap(), fresh_token().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(
            one.expose_secret().len(),
            PREFIX.len() + 2 * SECRET_LEN_BYTES
        );
        // SHA-256 of "abc", from its standard.
        assert_eq!(
            hash(&SecretString::from("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(!format!("{one:?}").contains(one.expose_secret()));
    }
}
