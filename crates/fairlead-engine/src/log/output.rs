//! A place that lines are written to: a file, a pipe, standard output.
//!
//! Rules of this file
//! 1. No write may block for long: before each the descriptor is asked whether it takes something,
//!    and what is not a file gets no more than a pipe takes at once.
//! 2. A line is written whole, if at all possible. After one that broke off in the middle (a full
//!    disk) the next begins on a line of its own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// What a pipe takes without blocking once it says that it takes anything (POSIX's `PIPE_BUF`, as
/// Linux has it); and no other writer's lines can come between.
const PIECE: usize = 4096;

/// Lines may name people: for the owner and the group, as the logs of other balancers.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

/// What was not written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unwritten {
    /// Bytes that were.
    pub(super) written: usize,
    pub(super) why: String,
}

/// A place that lines are written to.
#[derive(Debug)]
pub(crate) struct Output {
    to: Arc<str>,
    /// `None`: standard output.
    file: Option<File>,
    /// How much may be written at once.
    piece: usize,
    /// The last line broke off in the middle.
    torn: bool,
}

impl Output {
    /// Opens `to` for appending; `-` is standard output.
    ///
    /// # Errors
    ///
    /// A text that says why not.
    pub(crate) fn open(to: &Arc<str>) -> Result<Output, String> {
        let file = if &**to == "-" { None } else { Some(open(to).map_err(problem)?) };
        let mut output = Output { to: Arc::clone(to), file, piece: PIECE, torn: false };
        let kind = rustix::fs::fstat(output.descriptor()).map_err(problem)?;
        if FileType::from_raw_mode(kind.st_mode) == FileType::RegularFile {
            output.piece = usize::MAX;
        }
        Ok(output)
    }

    /// Opens the same place anew, if it is a file. If that fails, the old one stays.
    pub(super) fn reopen(&mut self) -> Result<(), String> {
        if self.file.is_some() {
            *self = Output::open(&self.to)?;
        }
        Ok(())
    }

    /// What it is called.
    pub(super) fn to(&self) -> &Arc<str> {
        &self.to
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.file {
            Some(file) => file.as_fd(),
            None => rustix::stdio::stdout(),
        }
    }

    /// Writes whole lines. Asks `goes_on` every `look` whether to wait for room any longer.
    pub(super) fn write(
        &mut self,
        lines: &[u8],
        look: Duration,
        mut goes_on: impl FnMut(&str) -> bool,
    ) -> Result<(), Unwritten> {
        let mut written = 0;
        while written < lines.len() {
            let step = if self.takes_something(look) {
                self.write_some(&lines[written..])
            } else if goes_on("its reader takes no more") {
                continue;
            } else {
                Err("its reader takes no more".to_owned())
            };
            match step {
                Ok(count) => written += count,
                Err(why) => {
                    self.torn |= written > 0 && lines[written - 1] != b'\n';
                    return Err(Unwritten { written, why });
                }
            }
        }
        Ok(())
    }

    fn takes_something(&self, look: Duration) -> bool {
        let descriptor = self.descriptor();
        let mut fds = [PollFd::new(&descriptor, PollFlags::OUT)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(look.subsec_nanos()) };
        // An error or a hang-up counts: writing says what it is.
        rustix::event::poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }

    fn write_some(&mut self, lines: &[u8]) -> Result<usize, String> {
        if self.torn {
            rustix::io::write(self.descriptor(), b"\n").map_err(problem)?;
            self.torn = false;
        }
        match rustix::io::write(self.descriptor(), piece(lines, self.piece)) {
            Ok(count) => Ok(count),
            Err(Errno::INTR | Errno::AGAIN) => Ok(0),
            Err(errno) => Err(problem(errno)),
        }
    }
}

/// As many whole lines as fit into `size`, or as much of one that is longer.
fn piece(lines: &[u8], size: usize) -> &[u8] {
    if lines.len() <= size {
        return lines;
    }
    let end = lines[..size].iter().rposition(|byte| *byte == b'\n');
    &lines[..end.map_or(size, |end| end + 1)]
}

/// Opens a file for appending, or something like it that is there: a pipe without a reader isn't
/// waited for.
fn open(path: &str) -> Result<File, Errno> {
    let ways = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let flags = ways | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, MODE)?))
}

/// An error of the system in our style of messages.
fn problem(errno: Errno) -> String {
    let text = match errno {
        Errno::NOENT => "no such directory",
        Errno::ACCESS | Errno::PERM => "permission denied",
        Errno::ISDIR => "it is a directory",
        Errno::NXIO => "nobody reads from this pipe",
        Errno::PIPE => "its reader is gone",
        Errno::NOSPC => "no space left on device",
        Errno::DQUOT => "disk quota exceeded",
        Errno::ROFS => "read-only file system",
        Errno::MFILE | Errno::NFILE => "out of file descriptors",
        Errno::BADF => "it is closed",
        _ => return io::Error::from(errno).to_string().to_lowercase(),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(1);

    #[test]
    fn pieces_end_with_a_line_where_they_can() {
        assert_eq!(piece(b"ab\ncd\nef", 100), b"ab\ncd\nef");
        assert_eq!(piece(b"ab\ncd\nef", 7), b"ab\ncd\n");
        assert_eq!(piece(b"ab\ncd\n", 3), b"ab\n");
        assert_eq!(piece(b"abcdef\n", 3), b"abc");
    }

    #[test]
    fn what_cannot_be_opened_is_told_in_words() {
        let problem = |path: &str| Output::open(&path.into()).expect_err("it can't be opened");
        assert_eq!(problem("/no/such/folder/log"), "no such directory");
        assert_eq!(problem("/"), "it is a directory");
    }

    #[test]
    fn a_full_disk_writes_nothing_and_says_so() {
        let mut output = Output::open(&"/dev/full".into()).expect("open");
        let unwritten = output.write(b"one\ntwo\n", LOOK, |_| true).expect_err("it is full");
        let why = "no space left on device".to_owned();
        assert_eq!(unwritten, Unwritten { written: 0, why });
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_given_up_when_asked_and_tears_no_later_line() {
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        let file = Some(File::from(writer));
        let mut output = Output { to: "pipe".into(), file, piece: PIECE, torn: false };
        let lines = [&[b'a'; 9_999][..], b"\n"].concat().repeat(20);
        let mut looks = 0;
        let given_up = output.write(&lines, LOOK, |_| {
            looks += 1;
            looks < 3
        });
        let written = given_up.expect_err("it is full").written;
        assert!(written > 0 && written < lines.len() && looks == 3);
        let mut seen = vec![0; written];
        let count = rustix::io::read(&reader, &mut seen).expect("read");
        assert_eq!(count, written);
        output.write(b"next\n", LOOK, |_| true).expect("there is room");
        let count = rustix::io::read(&reader, &mut seen).expect("read");
        let torn = written % 10_000 != 0;
        assert_eq!(&seen[..count], if torn { &b"\nnext\n"[..] } else { b"next\n" });
        drop(reader);
        let why = output.write(b"x\n", LOOK, |_| true).expect_err("nobody reads").why;
        assert_eq!(why, "its reader is gone");
    }
}
