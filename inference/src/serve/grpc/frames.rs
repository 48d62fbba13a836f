//! Where the frames of HTTP/2 begin and end in what a client sends (RFC 9113, section 4.1).

/// The first bytes of every connection (section 3.4).
pub(super) const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes before a frame's payload.
const HEAD: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const CONTINUATION: u8 = 0x9;
/// Flag of [`SETTINGS`]: they answer the server's, and are none of the client's.
const ACK: u8 = 0x1;
/// Flag of [`HEADERS`] and [`CONTINUATION`]: they are the last of their request.
const END_HEADERS: u8 = 0x4;

/// What the next bytes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Preface,
    Head,
    Payload,
}

/// How far a client has come with what it has begun.
#[derive(Debug)]
pub(super) struct Frames {
    part: Part,
    /// Bytes until the end of the part.
    left: usize,
    /// The head of the latest frame, as far as it has come.
    head: [u8; HEAD],
    /// Whether the client's SETTINGS have come, which end its greeting.
    greeted: bool,
    /// Whether headers have begun that the next frame must go on with.
    in_headers: bool,
}

impl Frames {
    /// Of a connection of which nothing has come.
    pub(super) const fn new() -> Self {
        Self {
            part: Part::Preface,
            left: PREFACE.len(),
            head: [0; HEAD],
            greeted: false,
            in_headers: false,
        }
    }

    /// Whether something has begun that is to be ended soon: the greeting, headers, or a frame of
    /// any kind but DATA. How long DATA may take, the limit on requests says.
    pub(super) fn is_unfinished(&self) -> bool {
        let amid_frame = match self.part {
            Part::Preface => true,
            Part::Head => self.left < HEAD,
            Part::Payload => self.kind() != DATA,
        };
        !self.greeted || self.in_headers || amid_frame
    }

    /// Takes note of the next `bytes`. Tells whether there was a moment at which nothing was
    /// unfinished.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> bool {
        let mut rested = !self.is_unfinished();
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.left.min(bytes.len()));
            if self.part == Part::Head {
                let begin = HEAD - self.left;
                self.head[begin..begin + now.len()].copy_from_slice(now);
            }
            self.left -= now.len();
            if self.left == 0 {
                self.end_part();
            }
            rested |= !self.is_unfinished();
            bytes = later;
        }
        rested
    }

    fn end_part(&mut self) {
        let [a, b, c, ..] = self.head;
        let payload = u32::from_be_bytes([0, a, b, c]) as usize;
        if self.part == Part::Head && payload > 0 {
            (self.part, self.left) = (Part::Payload, payload);
            return;
        }
        if self.part != Part::Preface {
            self.end_frame();
        }
        (self.part, self.left) = (Part::Head, HEAD);
    }

    fn end_frame(&mut self) {
        let flags = self.head[4];
        match self.kind() {
            HEADERS | CONTINUATION => self.in_headers = flags & END_HEADERS == 0,
            SETTINGS => self.greeted |= flags & ACK == 0,
            _ => {}
        }
    }

    const fn kind(&self) -> u8 {
        self.head[3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn after(bytes: &[u8]) -> Frames {
        let mut frames = Frames::new();
        frames.receive(bytes);
        frames
    }

    fn greeting() -> Vec<u8> {
        [&PREFACE[..], &frame(SETTINGS, 0, &[])].concat()
    }

    #[rstest]
    #[case::nothing(&[], true)]
    #[case::part_of_a_frames_head(&[0, 0], false)]
    #[case::part_of_a_ping(&frame(PING, 0, &[0; 8])[..12], false)]
    #[case::a_ping(&frame(PING, 0, &[0; 8]), true)]
    #[case::part_of_data(&frame(DATA, 0, &[0; 8])[..12], true)]
    #[case::headers_in_one(&frame(HEADERS, END_HEADERS, &[0; 8]), true)]
    #[case::headers_to_go_on(&frame(HEADERS, 0, &[0; 8]), false)]
    #[case::headers_that_go_on(&[frame(HEADERS, 0, &[0]), frame(CONTINUATION, 0, &[0])].concat(), false)]
    #[case::headers_in_two(&[frame(HEADERS, 0, &[0]), frame(CONTINUATION, END_HEADERS, &[])].concat(), true)]
    fn a_client_is_done_with_what_it_has_begun(#[case] bytes: &[u8], #[case] done: bool) {
        let whole = [&greeting(), bytes].concat();
        assert_eq!(after(&whole).is_unfinished(), !done);
        let mut piecemeal = Frames::new();
        for byte in whole.chunks(1) {
            piecemeal.receive(byte);
        }
        assert_eq!(piecemeal.is_unfinished(), !done);
    }

    #[test]
    fn a_greeting_ends_with_the_clients_settings() {
        assert!(after(&PREFACE).is_unfinished());
        let others = [frame(PING, 0, &[0; 8]), frame(SETTINGS, ACK, &[])].concat();
        assert!(after(&[&PREFACE, &others[..]].concat()).is_unfinished());
        assert!(!after(&greeting()).is_unfinished());
    }

    #[test]
    fn a_frame_that_begins_as_another_ends_begins_anew() {
        let mut frames = after(&greeting());
        let ping = frame(PING, 0, &[0; 8]);
        assert!(frames.receive(&ping[..10]));
        assert!(!frames.receive(&ping[10..12]));
        assert!(frames.receive(&[&ping[12..], &ping[..10]].concat()));
        assert!(frames.is_unfinished());
    }
}
