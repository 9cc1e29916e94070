//! Where udisks2 publishes volume groups and logical volumes.

use zbus::OwnedObjectPath;

const LVM: &str = "/org/freedesktop/UDisks2/lvm";

/// A group's object, or with `lv` a logical volume's; `None` for a name that no object can have.
pub(crate) fn object(vg: &str, lv: Option<&str>) -> Option<OwnedObjectPath> {
    let mut path = format!("{LVM}/{}", escaped(vg)?);
    if let Some(lv) = lv {
        path.push('/');
        path.push_str(&escaped(lv)?);
    }
    OwnedObjectPath::try_from(path).ok()
}

/// The group whose object, or one of whose volumes' objects, `path` is; only for names that need no escape, or whose
/// escapes are whole.
pub(crate) fn group_of(path: &str) -> Option<String> {
    let rest = path.strip_prefix(LVM)?.strip_prefix('/')?;
    unescaped(rest.split('/').next()?)
}

/// Letters, digits and underscores stand for themselves, every other byte for an underscore and two hex digits
/// (udisks2's `udisks_safe_append_to_object_path`).
fn escaped(name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    let mut escaped = String::with_capacity(name.len() + 16);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("_{byte:02x}"));
        }
    }
    Some(escaped)
}

fn unescaped(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut name = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3);
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            // What needs no escape is never escaped, so such a pair of digits belongs to the name.
            Some(code) if byte == b'_' && !(code.is_ascii_alphanumeric() || code == b'_') => {
                name.push(code);
                at += 3;
            }
            _ => {
                name.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_that_udisks_publishes() {
        // As read from udisks2 2.9.4.
        let path = |vg, lv| object(vg, lv).unwrap().to_string();
        assert_eq!(path("vg0", None), "/org/freedesktop/UDisks2/lvm/vg0");
        assert_eq!(
            path("vg0", Some("vg0-pool")),
            "/org/freedesktop/UDisks2/lvm/vg0/vg0_2dpool"
        );
        assert_eq!(
            path("vg0", Some("volume-aaaa-bbb_c")),
            "/org/freedesktop/UDisks2/lvm/vg0/volume_2daaaa_2dbbb_c"
        );
        assert!(object("", None).is_none());
    }

    #[test]
    fn a_groups_name_is_read_back() {
        for name in ["vg0", "ubuntu-vg", "a.b+c_d", "_2", "x__y"] {
            let path = object(name, Some("volume-1")).unwrap();
            assert_eq!(group_of(&path).as_deref(), Some(name));
        }
        assert_eq!(group_of("/org/freedesktop/UDisks2/block_devices/sda"), None);
    }
}
