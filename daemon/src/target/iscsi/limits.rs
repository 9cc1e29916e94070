//! The written limits of the target: every queue, length, wait and list has its bound here, each
//! with its reason. Knows nothing else.

use std::time::Duration;

/// Largest data segment we accept in one PDU, and declare as our `MaxRecvDataSegmentLength`.
pub const DATA_SEGMENT_LEN_MAX: u32 = 256 * 1024;
/// Largest data segment before a login is complete: the RFC's default, nobody may negotiate it up.
pub const LOGIN_SEGMENT_LEN_MAX: u32 = 8192;
/// Largest text gathered over continued (C bit) login or text PDUs of one exchange.
pub const TEXT_LEN_MAX: usize = 16 * 1024;
/// RFC 7143 6.1: a key name has at most 63 characters.
pub const TEXT_KEY_LEN_MAX: usize = 63;
/// RFC 7143 6.1 caps binary values at 1024 bytes; in hexadecimal, with its prefix, that is this.
pub const TEXT_VALUE_LEN_MAX: usize = 2050;
/// More keys than any RFC defines in one exchange mean a broken or hostile peer.
pub const TEXT_KEYS_MAX: usize = 64;
/// A login takes four round trips with mutual CHAP; whoever needs more is not logging in.
pub const LOGIN_ROUNDS_MAX: u32 = 16;
/// A login that is not complete by then is dropped.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest life of a discovery session, which lists targets and logs out.
pub const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that may be in login, or in a discovery session, at one time: bounds what strangers can hold.
pub const LOGINS_MAX: usize = 64;
/// Connections of one process, in login or past it.
pub const CONNECTIONS_MAX: usize = 1024;
/// Sessions one target (volume) serves: multipath times multi-attach, with room.
pub const SESSIONS_PER_TARGET_MAX: usize = 64;

/// Commands one session may have in flight: the `CmdSN` window.
pub const QUEUE_DEPTH: u32 = 128;
/// Requests of one connection being worked on or answered; above the window so that a full window
/// of writes that wait for their data never stops the reader that brings the data.
pub const REQUESTS_MAX: usize = 2 * QUEUE_DEPTH as usize;
/// Data that one session's reads and solicited writes may hold in memory. Unsolicited data adds at
/// most [`QUEUE_DEPTH`] times [`FIRST_BURST_LEN_MAX`].
pub const SESSION_BUFFER_LEN_MAX: u32 = 32 * 1024 * 1024;
/// Largest transfer of one command; told to initiators in the block limits page.
pub const TRANSFER_BLOCKS_MAX: u32 = 8192;
/// Largest unsolicited data of one write.
pub const FIRST_BURST_LEN_MAX: u32 = 256 * 1024;
/// Largest data sequence between two R2Ts, or two final bits of a read.
pub const MAX_BURST_LEN_MAX: u32 = 1024 * 1024;
/// Blocking file operations that run at one time in the whole process.
pub const IO_THREADS_MAX: usize = 32;
/// Reads up to here may be tried on the network thread when the page cache holds them.
pub const INLINE_READ_LEN_MAX: usize = 64 * 1024;

/// Blocks one WRITE SAME or VERIFY may cover (256 MiB): a slow disk is through with them in a few seconds, so that
/// neither a pause nor the end of a session waits long for one command.
pub const SWEEP_BLOCKS_MAX: u64 = 512 * 1024;
/// Blocks one UNMAP may cover in all its descriptors: half a GiB, quick on every file system.
pub const UNMAP_BLOCKS_MAX: u32 = 1024 * 1024;
/// Descriptors in one UNMAP.
pub const UNMAP_DESCRIPTORS_MAX: u32 = 256;
/// Blocks one COMPARE AND WRITE may cover.
pub const COMPARE_AND_WRITE_BLOCKS_MAX: u8 = 128;
/// Registered keys of persistent reservations one volume keeps.
pub const REGISTRATIONS_MAX: usize = 128;

/// How often a connection looks at its timers.
pub const TICK: Duration = Duration::from_secs(5);
/// A peer silent for this long is asked with a NOP-In.
pub const IDLE_PING_AFTER: Duration = Duration::from_secs(15);
/// A peer that does not answer a NOP-In, or does not take our data, for this long is dead.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the end of a session may take (its last blocking file operation).
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last answers (a logout's, a reject's) may take to leave.
pub const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest control request line: an export with a full access list fits many times over.
pub const CONTROL_LINE_LEN_MAX: usize = 256 * 1024;
/// Control connections at one time.
pub const CONTROL_CONNECTIONS_MAX: usize = 32;
/// Exports of one process.
pub const EXPORTS_MAX: usize = 4096;
/// Initiators one export admits.
pub const ACL_MAX: usize = 64;
/// Largest persisted table we read back.
pub const TABLE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Longest pause of a volume's writes: well under the 30 s after which hosts start to abort.
pub const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Granule of the dirty map that follows a volume's writes.
pub const DIRTY_GRANULE_LEN: u64 = 64 * 1024;
