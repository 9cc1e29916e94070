//! A target in this process and a small raw initiator, written from RFC 7143 and sharing no code
//! with the target, so that a misplaced field cannot pass on both sides.

use ashlar_daemon::driver::{Device, Done};
use ashlar_daemon::model::id::VolumeId;
use ashlar_daemon::target::iscsi::{
    IQN_PREFIX, IscsiTarget, TargetConfig, TargetServeError, serve,
};
use ashlar_daemon::target::{Access, Chap, Credentials, Export, Session, Target};
use md5::{Digest, Md5};
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const HOST: &str = "iqn.2026-11.example:host-a";
pub(crate) const OTHER_HOST: &str = "iqn.2026-11.example:host-b";
pub(crate) const USER: &str = "user-of-twenty-chars";
pub(crate) const SECRET: &str = "sixteen-letters-";
/// Every wait of these tests ends by then.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A target that serves from a temporary directory.
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) client: IscsiTarget,
    pub(crate) portal: SocketAddr,
    runtime: Runtime,
    serving: Option<JoinHandle<Result<(), TargetServeError>>>,
    shutdown: CancellationToken,
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_in(dir: TempDir) -> Self {
        let runtime = Runtime::new().unwrap();
        let shutdown = CancellationToken::new();
        let config = config(&dir);
        let serving = runtime.spawn(serve(config, shutdown.clone()));
        let client = IscsiTarget::new(dir.path(), IQN_PREFIX, Vec::new());
        let hello = runtime.block_on(async {
            let begin = Instant::now();
            loop {
                match client.hello().await {
                    Ok(hello) => break hello,
                    Err(error) => assert!(begin.elapsed() < DEADLINE, "{error}"),
                }
                tokio::task::yield_now().await;
            }
        });
        let portal = hello.listening[0].parse().unwrap();
        Self {
            dir,
            client,
            portal,
            runtime,
            serving: Some(serving),
            shutdown,
        }
    }

    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        let limited = async { tokio::time::timeout(DEADLINE, future).await };
        self.runtime.block_on(limited).expect("in time")
    }

    /// Exports a sparse file of `len_bytes` and lets [`HOST`] in.
    pub(crate) fn volume(&self, len_bytes: u64) -> Volume {
        let id = VolumeId::random();
        let path = self.dir.path().join(id.to_string());
        std::fs::File::create(&path)
            .unwrap()
            .set_len(len_bytes)
            .unwrap();
        let volume = Volume {
            id,
            path,
            iqn: self.client.address(id).iqn,
        };
        self.wait(self.client.export(&volume.export(len_bytes)))
            .unwrap();
        self.allow(&volume, HOST, SECRET, false);
        volume
    }

    pub(crate) fn allow(&self, volume: &Volume, host: &str, secret: &str, read_only: bool) {
        let access = Access {
            initiator: host.into(),
            chap: chap(secret),
            read_only,
        };
        self.wait(self.client.allow(volume.id, &access)).unwrap();
    }

    /// Lets [`HOST`] in, to which the target proves itself with `mutual`.
    pub(crate) fn allow_mutual(&self, volume: &Volume, mutual: Credentials) {
        let mut chap = chap(SECRET);
        chap.mutual = Some(mutual);
        let access = Access {
            initiator: HOST.into(),
            chap,
            read_only: false,
        };
        self.wait(self.client.allow(volume.id, &access)).unwrap();
    }

    pub(crate) async fn sessions(&self) -> Vec<Session> {
        self.client.sessions().await.unwrap()
    }

    pub(crate) async fn deny(&self, volume: &Volume, host: &str) -> Done {
        self.client.deny(volume.id, host).await.unwrap()
    }

    /// Ends the target in an orderly way and gives its directory back.
    pub(crate) fn stop(mut self) -> TempDir {
        self.shutdown.cancel();
        let serving = self.serving.take().unwrap();
        self.wait(serving).unwrap().unwrap();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    /// A logged-in host.
    pub(crate) fn host(&self, volume: &Volume) -> Initiator {
        Initiator::logged_in(self.portal, HOST, &volume.iqn, SECRET).unwrap()
    }
}

impl Rig {
    /// A logged-in host by another of its ports, so that both sessions live.
    pub(crate) fn host_at(&self, volume: &Volume, port: u8) -> Initiator {
        let mut host = Initiator::connect(self.portal);
        host.isid[5] = port;
        host.log_in(HOST, &volume.iqn, USER, SECRET).unwrap();
        assert_eq!(host.run(&[0; 6], 0, &[]).sense, Some((6, 0x29, 0)));
        host
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn config(dir: &TempDir) -> TargetConfig {
    TargetConfig {
        state_dir: dir.path().to_owned(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        portals: Vec::new(),
        iqn_prefix: IQN_PREFIX.into(),
    }
}

pub(crate) struct Volume {
    pub(crate) id: VolumeId,
    pub(crate) path: PathBuf,
    pub(crate) iqn: String,
}

impl Volume {
    pub(crate) fn export(&self, len_bytes: u64) -> Export {
        Export {
            volume_id: self.id,
            device: Device {
                path: self.path.clone(),
                len_bytes,
            },
        }
    }
}

/// A PDU as it came.
#[derive(Debug, Clone)]
pub(crate) struct Pdu {
    pub(crate) head: [u8; 48],
    pub(crate) data: Vec<u8>,
}

impl Pdu {
    pub(crate) fn opcode(&self) -> u8 {
        self.head[0] & 0x3f
    }

    pub(crate) fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.head[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn keys(&self) -> Vec<(String, String)> {
        let text = String::from_utf8(self.data.clone()).unwrap();
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    pub(crate) fn key(&self, key: &str) -> Option<String> {
        self.keys()
            .into_iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u8,
    /// Key, code, qualifier.
    pub(crate) sense: Option<(u8, u8, u8)>,
    pub(crate) data: Vec<u8>,
}

pub(crate) struct Initiator {
    stream: TcpStream,
    pub(crate) cmd_sn: u32,
    exp_stat_sn: u32,
    itt: u32,
    pub(crate) isid: [u8; 6],
}

impl Initiator {
    pub(crate) fn connect(portal: SocketAddr) -> Self {
        let stream = TcpStream::connect(portal).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            cmd_sn: 7,
            exp_stat_sn: 0,
            itt: 1,
            isid: [0x80, 1, 2, 3, 4, 5],
        }
    }

    pub(crate) fn send(&mut self, mut head: [u8; 48], data: &[u8]) {
        head[5..8].copy_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes()[1..]);
        self.send_raw(&head, data);
    }

    /// Without setting the length field. A peer that closed meanwhile is noticed on receiving.
    pub(crate) fn send_raw(&mut self, head: &[u8], data: &[u8]) {
        let mut bytes = [head, data].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let _closed = self.stream.write_all(&bytes);
    }

    /// Whether the target takes `bytes` in time.
    pub(crate) fn send_within(&mut self, bytes: &[u8], limit: Duration) -> bool {
        self.stream.set_write_timeout(Some(limit)).unwrap();
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends bytes as they are, and says no more.
    pub(crate) fn say_all(&mut self, bytes: &[u8]) {
        // A target that closed meanwhile is noticed on receiving.
        let _closed = self.stream.write_all(bytes);
        let _closed = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn receive(&mut self) -> io::Result<Pdu> {
        let mut head = [0; 48];
        self.stream.read_exact(&mut head)?;
        let len = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        let mut data = vec![0; len.next_multiple_of(4)];
        self.stream.read_exact(&mut data)?;
        data.truncate(len);
        let pdu = Pdu { head, data };
        // A response with its own number; ours follows.
        if !matches!(pdu.opcode(), 0x31) && (pdu.opcode() != 0x25 || pdu.head[1] & 1 == 1) {
            self.exp_stat_sn = pdu.word(24).wrapping_add(1);
        }
        Ok(pdu)
    }

    /// True when the target closes the connection (after whatever it still says).
    pub(crate) fn is_closed(&mut self) -> bool {
        loop {
            match self.receive() {
                Ok(_) => {}
                Err(error) => {
                    let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
                    return !late.contains(&error.kind());
                }
            }
        }
    }

    /// One login exchange: flags byte, pairs; the answer.
    pub(crate) fn login_step(&mut self, flags: u8, pairs: &[(&str, &str)]) -> io::Result<Pdu> {
        let mut head = [0; 48];
        head[0] = 0x43;
        head[1] = flags;
        head[8..14].copy_from_slice(&self.isid);
        head[16..20].copy_from_slice(&self.itt.to_be_bytes());
        head[24..28].copy_from_slice(&self.cmd_sn.to_be_bytes());
        head[28..32].copy_from_slice(&self.exp_stat_sn.to_be_bytes());
        let text: String = pairs
            .iter()
            .map(|(key, value)| format!("{key}={value}\0"))
            .collect();
        self.send(head, text.as_bytes());
        self.receive()
    }

    /// Up to the challenge; then the answer with `secret` as `user`.
    pub(crate) fn log_in(
        &mut self,
        host: &str,
        iqn: &str,
        user: &str,
        secret: &str,
    ) -> Result<(), u16> {
        let names = [
            ("InitiatorName", host),
            ("TargetName", iqn),
            ("AuthMethod", "CHAP"),
        ];
        ok(&self.login_step(0x81, &names).unwrap())?;
        let challenge = self.login_step(0x00, &[("CHAP_A", "5")]).unwrap();
        ok(&challenge)?;
        let response = chap_response(&challenge, secret);
        let proof = [("CHAP_N", user), ("CHAP_R", response.as_str())];
        ok(&self.login_step(0x81, &proof).unwrap())?;
        let keys = [("InitialR2T", "Yes"), ("ImmediateData", "Yes")];
        let last = self.login_step(0x87, &keys).unwrap();
        ok(&last)?;
        assert_eq!(last.head[1], 0x87, "the full feature phase");
        Ok(())
    }

    pub(crate) fn logged_in(
        portal: SocketAddr,
        host: &str,
        iqn: &str,
        secret: &str,
    ) -> Result<Self, u16> {
        let mut initiator = Self::connect(portal);
        initiator.log_in(host, iqn, USER, secret)?;
        // Every new session owes a unit attention.
        let first = initiator.run(&[0; 6], 0, &[]);
        assert_eq!(first.sense, Some((6, 0x29, 0)));
        Ok(initiator)
    }

    /// The header of a SCSI command.
    pub(crate) fn command_head(&mut self, cdb: &[u8], read_len: u32, write_len: u32) -> [u8; 48] {
        self.itt += 1;
        let mut head = [0; 48];
        head[0] = 0x01;
        head[1] = 0x80;
        if read_len > 0 {
            head[1] |= 0x40;
        }
        if write_len > 0 {
            head[1] |= 0x20;
        }
        head[16..20].copy_from_slice(&self.itt.to_be_bytes());
        head[20..24].copy_from_slice(&read_len.max(write_len).to_be_bytes());
        head[24..28].copy_from_slice(&self.cmd_sn.to_be_bytes());
        head[28..32].copy_from_slice(&self.exp_stat_sn.to_be_bytes());
        head[32..32 + cdb.len()].copy_from_slice(cdb);
        self.cmd_sn += 1;
        head
    }

    /// Sends a command without waiting for its answer; its data follows when asked for.
    pub(crate) fn start(&mut self, cdb: &[u8], read_len: u32, data: &[u8]) {
        let write_len = u32::try_from(data.len()).unwrap();
        let head = self.command_head(cdb, read_len, write_len);
        self.send(head, &data[..data.len().min(8192)]);
    }

    /// Runs a command to its end.
    pub(crate) fn run(&mut self, cdb: &[u8], read_len: u32, data: &[u8]) -> Reply {
        self.start(cdb, read_len, data);
        self.finish(data)
    }

    /// Answers R2Ts with `data`, gathers Data-In, until the command's status.
    pub(crate) fn finish(&mut self, data: &[u8]) -> Reply {
        let mut found = Vec::new();
        loop {
            let pdu = self.receive().expect("an answer");
            match pdu.opcode() {
                0x31 => self.answer_r2t(&pdu, data),
                0x25 => {
                    assert_eq!(pdu.word(40) as usize, found.len(), "data in order");
                    found.extend_from_slice(&pdu.data);
                    if pdu.head[1] & 1 == 1 {
                        return Reply {
                            status: pdu.head[3],
                            sense: None,
                            data: found,
                        };
                    }
                }
                0x21 => {
                    let sense = (pdu.data.len() > 15)
                        .then(|| (pdu.data[4] & 0xf, pdu.data[14], pdu.data[15]));
                    return Reply {
                        status: pdu.head[3],
                        sense,
                        data: found,
                    };
                }
                other => panic!("opcode {other:#04x} is no answer to a command"),
            }
        }
    }

    pub(crate) fn answer_r2t(&mut self, r2t: &Pdu, data: &[u8]) {
        let (offset, len) = (r2t.word(40) as usize, r2t.word(44) as usize);
        let piece = &data[offset..offset + len];
        let count = piece.chunks(65536).count();
        for (index, chunk) in piece.chunks(65536).enumerate() {
            let mut head = [0; 48];
            head[0] = 0x05;
            head[1] = if index + 1 == count { 0x80 } else { 0 };
            head[16..24].copy_from_slice(&r2t.head[16..24]);
            head[36..40].copy_from_slice(&u32::try_from(index).unwrap().to_be_bytes());
            let at = u32::try_from(offset + index * 65536).unwrap();
            head[40..44].copy_from_slice(&at.to_be_bytes());
            self.send(head, chunk);
        }
    }

    pub(crate) fn write(&mut self, lba: u64, data: &[u8]) -> Reply {
        self.run(&rw16(0x8a, lba, data.len() / 512), 0, data)
    }

    pub(crate) fn read(&mut self, lba: u64, blocks: usize) -> Reply {
        let len = u32::try_from(blocks * 512).unwrap();
        self.run(&rw16(0x88, lba, blocks), len, &[])
    }
}

/// READ (16), WRITE (16) and their like.
pub(crate) fn rw16(opcode: u8, lba: u64, blocks: usize) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&u32::try_from(blocks).unwrap().to_be_bytes());
    cdb
}

/// A login response's status.
pub(crate) fn ok(pdu: &Pdu) -> Result<(), u16> {
    assert_eq!(pdu.opcode(), 0x23);
    match u16::from_be_bytes([pdu.head[36], pdu.head[37]]) {
        0 => Ok(()),
        status => Err(status),
    }
}

fn chap(secret: &str) -> Chap {
    Chap {
        user: USER.into(),
        secret: secret.to_owned().into(),
        mutual: None,
    }
}

/// The answer to a challenge.
pub(crate) fn chap_response(challenge: &Pdu, secret: &str) -> String {
    let identifier: u8 = challenge.key("CHAP_I").unwrap().parse().unwrap();
    let text = challenge.key("CHAP_C").unwrap();
    let hash = Md5::new()
        .chain_update([identifier])
        .chain_update(secret)
        .chain_update(unhex(&text))
        .finalize();
    hash.iter()
        .fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
