//! `import/` as only files can show it: what is refused, and that nothing outside of the pool is reached.

use super::*;
use crate::driver::DriverError;
use crate::driver::contract::{of, volume};
use std::os::unix::fs::symlink;

fn fresh() -> Files {
    Files::open(tempfile::tempdir().unwrap(), |_| {})
}

impl Files {
    fn import(&self, name: &str) -> PathBuf {
        self.layout().imports().join(name)
    }

    async fn why_not(&self, name: &str) -> String {
        let found = self.driver.manageable("pool").await.unwrap();
        let listed = found.into_iter().find(|one| one.name == name).unwrap();
        let refused = self.driver.adopt(&of(&volume(1)), name).await.unwrap_err();
        let DriverError::NotManageable { why, .. } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(listed.why_not.as_deref(), Some(why.as_str()));
        why
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_rounded_up_and_made_private() {
    let files = fresh();
    let path = files.import("disk.raw");
    fs::write(&path, [7; 5000]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let one = volume(1);
    files.driver.adopt(&of(&one), "disk.raw").await.unwrap();
    assert!(!path.exists());
    let home = files.layout().home(&Name::of_volume(one.id));
    let told = fs::metadata(&home).unwrap();
    assert_eq!(
        (told.len(), told.ino()),
        (1 << 30, inode),
        "renamed, not copied"
    );
    assert_eq!(told.permissions().mode() & 0o777, 0o600);
    let file = fs::File::open(&home).unwrap();
    let mut bytes = [1; 6000];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes[..5000].iter().all(|byte| *byte == 7));
    assert!(bytes[5000..].iter().all(|byte| *byte == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_killed_after_the_rename_is_finished_by_its_repeat() {
    let files = fresh();
    let one = volume(2);
    // As the rename leaves it: ours by name, neither private nor as long as it is to be.
    let home = files.layout().home(&Name::of_volume(one.id));
    fs::write(&home, [7; 5000]).unwrap();
    let files = files.reopened();
    let done = files.driver.adopt(&of(&one), "disk.raw").await.unwrap();
    assert_eq!(done, Done::AlreadySo);
    let told = fs::metadata(&home).unwrap();
    assert_eq!(
        (told.len(), told.permissions().mode() & 0o777),
        (2 << 30, 0o600)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plain_file_of_the_pool_is_refused_and_left_alone() {
    let files = fresh();
    let outside = files.directory.path().join("secret");
    fs::write(&outside, [7; 5000]).unwrap();
    symlink(&outside, files.import("link")).unwrap();
    symlink("/nonexistent", files.import("broken")).unwrap();
    fs::create_dir(files.import("directory")).unwrap();
    fs::write(files.import("empty"), []).unwrap();
    fs::hard_link(&outside, files.import("shared")).unwrap();
    fs::write(files.import(".hidden"), [7; 10]).unwrap();
    for (name, why) in [
        ("link", "symbolic link"),
        ("broken", "symbolic link"),
        ("directory", "not a regular file"),
        ("empty", "empty"),
        ("shared", "hard links"),
    ] {
        let said = files.why_not(name).await;
        assert!(said.contains(why), "{name}: {said}");
        assert!(
            files.import(name).symlink_metadata().is_ok(),
            "{name} is gone"
        );
    }
    let listed = files.driver.manageable("pool").await.unwrap();
    assert_eq!(
        listed.len(),
        5,
        "hidden files are nobody's to take: {listed:?}"
    );
    assert_eq!(fs::read(&outside).unwrap(), [7; 5000]);
    assert_eq!(files.driver.objects().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_import_that_is_a_link_is_not_followed() {
    let files = fresh();
    let outside = files.directory.path().join("elsewhere");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("disk"), [7; 5000]).unwrap();
    let one = volume(1);
    let work = Work::default();
    files
        .driver
        .create(&one, &Source::Empty, &work)
        .await
        .unwrap();
    fs::remove_dir(files.layout().imports()).unwrap();
    symlink(&outside, files.layout().imports()).unwrap();
    assert!(files.driver.manageable("pool").await.is_err());
    assert!(files.driver.adopt(&of(&volume(1)), "disk").await.is_err());
    assert!(files.driver.release(&of(&one), None).await.is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(
        files.driver.objects().await.unwrap().len(),
        1,
        "the volume stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_the_rename_puts_the_file_back() {
    let files = fresh();
    fs::write(files.import("disk"), [7; 5000]).unwrap();
    // More than any disk of a test has: taking the space of a thick volume fails.
    let huge = VolumeRef {
        size_gib: Gib::new(1 << 20).unwrap(),
        thick: true,
        ..volume(1)
    };
    let refused = files.driver.adopt(&of(&huge), "disk").await.unwrap_err();
    assert!(
        matches!(
            refused,
            DriverError::NoSpace { .. } | DriverError::Unsupported { .. }
        ),
        "{refused:?}"
    );
    assert_eq!(fs::read(files.import("disk")).unwrap(), [7; 5000]);
    assert_eq!(files.driver.objects().await.unwrap(), Vec::<String>::new());
}
