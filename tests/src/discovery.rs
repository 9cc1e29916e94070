//! What a target tells a host that asks for targets: the few bytes of RFC 7143 that `SendTargets` takes.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::ensure;

use crate::Result;

const HEADER_LEN: usize = 48;
/// An answer to a question of this size comes at once or not at all.
const DEADLINE: Duration = Duration::from_secs(10);
/// A list longer than that is none of our tests'.
const DATA_LEN_MAX: usize = 1 << 20;

const LOGIN_REQUEST: u8 = 0x43;
const LOGIN_RESPONSE: u8 = 0x23;
const TEXT_REQUEST: u8 = 0x44;
const TEXT_RESPONSE: u8 = 0x24;
/// From operational negotiation straight to the full feature phase.
const TO_FULL_FEATURE: u8 = 0x87;
const FINAL: u8 = 0x80;

/// The names of the targets that `initiator` is shown at a portal. No listener means no targets.
pub fn targets(portal: &str, initiator: &str) -> Result<BTreeSet<String>> {
    let address: SocketAddr = portal.parse()?;
    let Ok(mut stream) = TcpStream::connect_timeout(&address, DEADLINE) else {
        return Ok(BTreeSet::new());
    };
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let login = format!("InitiatorName={initiator}\0SessionType=Discovery\0");
    send(
        &mut stream,
        LOGIN_REQUEST,
        TO_FULL_FEATURE,
        1,
        login.as_bytes(),
    )?;
    let (header, _) = receive(&mut stream)?;
    ensure!(
        header[0] == LOGIN_RESPONSE,
        "a login was answered with {:#x}",
        header[0]
    );
    ensure!(
        header[36] == 0,
        "the login was refused: {:#x} {:#x}",
        header[36],
        header[37]
    );
    send(&mut stream, TEXT_REQUEST, FINAL, 2, b"SendTargets=All\0")?;
    let (header, data) = receive(&mut stream)?;
    ensure!(
        header[0] == TEXT_RESPONSE,
        "a text request was answered with {:#x}",
        header[0]
    );
    let text = String::from_utf8_lossy(&data).into_owned();
    let names = text
        .split('\0')
        .filter_map(|pair| pair.strip_prefix("TargetName="));
    Ok(names.map(str::to_owned).collect())
}

fn send(stream: &mut TcpStream, opcode: u8, flags: u8, tag: u8, data: &[u8]) -> Result<()> {
    let mut pdu = vec![0; HEADER_LEN];
    pdu[0] = opcode;
    pdu[1] = flags;
    let len = u32::try_from(data.len())?.to_be_bytes();
    pdu[5..8].copy_from_slice(&len[1..]);
    pdu[8] = 0x80;
    pdu[19] = tag;
    if opcode == TEXT_REQUEST {
        pdu[20..24].fill(0xff);
    }
    pdu[27] = 1;
    pdu.extend_from_slice(data);
    pdu.resize(pdu.len().next_multiple_of(4), 0);
    Ok(stream.write_all(&pdu)?)
}

fn receive(stream: &mut TcpStream) -> Result<([u8; HEADER_LEN], Vec<u8>)> {
    let mut header = [0; HEADER_LEN];
    stream.read_exact(&mut header)?;
    let len = u32::from_be_bytes([0, header[5], header[6], header[7]]);
    let len = usize::try_from(len)?;
    ensure!(len <= DATA_LEN_MAX, "an answer of {len} bytes");
    let mut data = vec![0; len.next_multiple_of(4)];
    stream.read_exact(&mut data)?;
    data.truncate(len);
    Ok((header, data))
}
