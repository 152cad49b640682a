//! The trace folder: names, `latest-trace`, `ls` and `rm`.

use std::fs;

use crate::tool::{Tool, elf};

#[test]
fn traces_are_named_after_their_guest_and_counted() {
    let tool = Tool::new();
    for _ in 0..2 {
        tool.record("hello", &[]);
    }
    tool.record("timer", &[]);
    let list = tool.json(&["ls", "--json"]);
    let names: Vec<_> =
        list.as_array().unwrap().iter().map(|trace| trace["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hello-1.cantus", "hello-2.cantus", "timer-1.cantus"]);
    let latest: Vec<_> =
        list.as_array().unwrap().iter().map(|trace| trace["latest"].as_bool().unwrap()).collect();
    assert_eq!(latest, [false, false, true]);
    assert_eq!(fs::read_link(tool.path("latest-trace")).unwrap().to_str(), Some("timer-1.cantus"));
}

#[test]
fn xdg_and_home_say_where_the_folder_is() {
    let tool = Tool::new();
    let hello = elf("hello");
    for (variable, folder) in [("XDG_DATA_HOME", "cantus"), ("HOME", ".local/share/cantus")] {
        let root = tool.path(variable);
        fs::create_dir(&root).unwrap();
        let mut command = tool.command(&["record", &hello]);
        command.env_remove("CANTUS_TRACE_DIR").env(variable, &root);
        assert!(command.status().unwrap().success());
        assert!(root.join(folder).join("hello-1.cantus").exists(), "{variable}");
    }
}

#[test]
fn an_empty_folder_and_none_at_all_have_no_traces() {
    let tool = Tool::new();
    assert!(tool.ok(&["ls"]).starts_with("no traces in "));
    assert_eq!(tool.json(&["ls", "--json"]), serde_json::json!([]));
    fs::remove_dir(tool.folder()).unwrap();
    assert!(tool.ok(&["ls"]).starts_with("no traces in "));
    fs::create_dir(tool.folder()).unwrap();
}

#[test]
fn ls_lists_what_cannot_be_read_as_such() {
    let tool = Tool::new();
    tool.record("hello", &["--smp", "2"]);
    fs::write(tool.path("text.cantus"), "text").unwrap();
    fs::write(tool.path("notes.txt"), "no trace").unwrap();
    let list = tool.json(&["ls", "--json"]);
    assert_eq!(list[1]["name"], "text.cantus");
    assert_eq!(list[1]["condition"], "unreadable");
    assert!(list[1]["trouble"].as_str().unwrap().contains("magic"), "{list}");
    assert_eq!(list.as_array().unwrap().len(), 2);
    let table = tool.ok(&["ls"]);
    assert!(
        table.lines().any(|line| line.contains("text.cantus") && line.ends_with("unreadable")),
        "{table}"
    );
    assert!(
        table.lines().any(|line| line.contains("hello-1.cantus") && line.ends_with("status 0")),
        "{table}"
    );
}

#[test]
fn rm_removes_traces_and_mends_the_link() {
    let tool = Tool::new();
    for _ in 0..3 {
        tool.record("hello", &[]);
    }
    tool.ok(&["rm", "hello-3"]);
    assert!(tool.ok(&["replay"]).contains("hello from hart 0"), "an older trace is the latest now");
    tool.ok(&["rm", "latest-trace"]);
    assert_eq!(tool.json(&["ls", "--json"]).as_array().unwrap().len(), 1);
    tool.ok(&["rm", "--all"]);
    assert_eq!(fs::read_dir(tool.folder()).unwrap().count(), 0, "no link to nothing is left");
}

#[test]
fn rm_spares_what_is_no_trace() {
    let tool = Tool::new();
    tool.record("hello", &[]);
    let notes = tool.path("notes.txt");
    fs::write(&notes, "precious notes").unwrap();
    let done = tool.run(&["rm", "hello-1", notes.to_str().unwrap()]);
    assert_eq!(done.status, 65, "{}", done.err);
    assert!(notes.exists() && tool.path("hello-1.cantus").exists(), "a wrong name removes nothing");
    tool.ok(&["rm", "--force", notes.to_str().unwrap()]);
    assert!(!notes.exists());
}

#[test]
fn recorders_at_once_share_no_name() {
    let tool = Tool::new();
    let hello = elf("hello");
    let recorders: Vec<_> = (0..6)
        .map(|_| {
            let mut command = tool.command(&["record", "-q", &hello]);
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut recorder in recorders {
        assert!(recorder.wait().unwrap().success());
    }
    let list = tool.json(&["ls", "--json"]);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 6);
    assert!(list.iter().all(|trace| trace["condition"] == "complete"), "{list:?}");
    assert_eq!(list.iter().filter(|trace| trace["latest"] == true).count(), 1);
    assert_eq!(fs::read_dir(tool.folder()).unwrap().count(), 7, "the traces and the link, nothing else");
}
