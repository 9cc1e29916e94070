//! Valid logins and commands, mutated: whatever bytes come, the target neither dies nor lets anybody in who proved
//! nothing, and others are served as before. Seeded, so that a failure comes again.

use crate::rig::{HOST, Initiator, Rig, USER, Volume, rw16};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const MIB: u64 = 1 << 20;
/// Streams of each kind: a few seconds' worth.
const CASES: u64 = 1000;

/// Panics in the target's code; its tasks would only end, and nobody would see it.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let of_target = |place: &std::panic::Location<'_>| place.file().contains("src/target");
            if info.location().is_some_and(of_target) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}

/// Numbers that a seed decides (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        // Often the values at which fields turn over.
        let edges = [0, 1, 0x7f, 0x80, 0xff];
        match self.below(2) {
            0 => edges[self.below(edges.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }
}

/// A PDU as it goes over the wire.
fn pdu(head: [u8; 48], data: &[u8]) -> Vec<u8> {
    let mut bytes = [&head[..], data].concat();
    bytes[5..8].copy_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes()[1..]);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn login(flags: u8, text: &str) -> Vec<u8> {
    let mut head = [0; 48];
    (head[0], head[1]) = (0x43, flags);
    head[8] = 0x80;
    head[19] = 1;
    head[27] = 7;
    pdu(head, text.as_bytes())
}

/// A login as far as it goes without knowing the secret.
fn logins(volume: &Volume) -> Vec<Vec<u8>> {
    let names = format!("InitiatorName={HOST}\0TargetName={}\0", volume.iqn);
    let proof = format!("CHAP_N={USER}\0CHAP_R=0x{}\0", "5a".repeat(16));
    let keys = "HeaderDigest=CRC32C,None\0MaxBurstLength=262144\0FirstBurstLength=65536\0";
    vec![
        login(0x81, &format!("{names}AuthMethod=CHAP\0")),
        login(0x00, "CHAP_A=5\0"),
        login(0x81, &proof),
        login(0x87, keys),
        login(0x87, &format!("InitiatorName={HOST}\0SessionType=Normal\0")),
    ]
}

/// Commands of a logged-in host, each kind of PDU among them.
fn commands(host: &mut Initiator) -> Vec<Vec<u8>> {
    let mut unmap = [0; 24];
    (unmap[1], unmap[3], unmap[19]) = (22, 16, 8);
    let block = [0x42; 512];
    let mut stream = Vec::new();
    for (cdb, read_len, data) in [
        (&rw16(0x8a, 3, 1)[..], 0, &block[..]),
        (&rw16(0x88, 0, 8), 4096, &[]),
        (&rw16(0x93, 0, 16), 0, &block),
        (&[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], 0, &unmap),
        (&[0x12, 1, 0x83, 0, 255, 0], 255, &[]),
        (&[0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0], 0, &block[..24]),
        (&rw16(0x91, 0, 0), 0, &[]),
        (&rw16(0x8f, 0, 64), 0, &[]),
        (
            &[0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
            256,
            &[],
        ),
    ] {
        let write_len = u32::try_from(data.len()).unwrap();
        stream.push(pdu(host.command_head(cdb, read_len, write_len), data));
    }
    let waiting = host.command_head(&rw16(0x8a, 0, 8), 0, 4096);
    stream.push(pdu(waiting, &[]));
    for (opcode, flags) in [
        (0x05, 0x80),
        (0x42, 0x82),
        (0x44, 0x80),
        (0x40, 0x80),
        (0x10, 0x80),
    ] {
        let mut head = [0; 48];
        (head[0], head[1]) = (opcode, flags);
        head[16..20].copy_from_slice(&waiting[16..20]);
        head[20..24].copy_from_slice(&1_u32.to_be_bytes());
        stream.push(pdu(head, &block));
    }
    stream
}

/// Bytes changed, left out and doubled; PDUs moved about; the end cut off.
fn mutated(mut pdus: Vec<Vec<u8>>, dice: &mut Dice) -> Vec<u8> {
    for _ in 0..=dice.below(4) {
        let (one, other) = (dice.below(pdus.len()), dice.below(pdus.len()));
        let at = dice.below(pdus[one].len().min(96));
        match dice.below(8) {
            0 => pdus.swap(one, other),
            1 => {
                let again = pdus[one].clone();
                pdus.insert(other, again);
            }
            2 => drop(pdus[one].remove(at)),
            3 => pdus[one].insert(at, dice.byte()),
            _ => pdus[one][at] = dice.byte(),
        }
    }
    let mut bytes = pdus.concat();
    if dice.below(4) == 0 {
        bytes.truncate(dice.below(bytes.len()));
    }
    bytes
}

#[test]
fn mutated_logins_let_nobody_in() {
    count_panics();
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    for seed in 0..CASES {
        let mut dice = Dice::new(seed);
        let mut stranger = Initiator::connect(rig.portal);
        let mut stream = logins(&volume);
        let length = dice.below(stream.len()) + 1;
        stream.rotate_left(dice.below(3));
        stream.truncate(length);
        stranger.say_all(&mutated(stream, &mut dice));
        assert!(stranger.is_closed(), "seed {seed}");
        assert!(rig.wait(rig.sessions()).is_empty(), "seed {seed}");
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    assert_eq!(rig.host(&volume).read(0, 1).status, 0);
}

#[test]
fn mutated_commands_harm_their_own_session_only() {
    count_panics();
    let rig = Rig::start();
    let (volume, other) = (rig.volume(MIB), rig.volume(MIB));
    let mut witness = rig.host(&other);
    assert_eq!(witness.write(0, &[9; 512]).status, 0);
    for seed in 0..CASES {
        let mut host = Initiator::connect(rig.portal);
        host.log_in(HOST, &volume.iqn, USER, crate::rig::SECRET)
            .unwrap();
        let mut dice = Dice::new(seed);
        let stream = commands(&mut host);
        host.say_all(&mutated(stream, &mut dice));
        assert!(host.is_closed(), "seed {seed}");
        assert_eq!(witness.read(0, 1).data, [9; 512], "seed {seed}");
    }
    let begin = Instant::now();
    while rig.wait(rig.sessions()).len() > 1 {
        assert!(begin.elapsed() < crate::rig::DEADLINE, "a session stayed");
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    let size = std::fs::metadata(&volume.path).unwrap().len();
    assert_eq!(size, MIB, "nothing was written beyond the end");
}
