//! Ashlar's own userspace iSCSI target.
