//! What a block on the heap really takes.

/// The bytes that the allocator sets aside for a block of so many: mimalloc's size classes (`mi_bin` in its
/// `page-queue.c`), which are 8, every multiple of 16 up to 64, and then four to each doubling. What it needs per
/// page of blocks comes on top, and is not a cell's to know.
pub const fn allocated(bytes: usize) -> usize {
    const WORD: usize = 8;
    let words = bytes.div_ceil(WORD);
    let words = match words {
        0 | 1 => words,
        2..=8 => words.next_multiple_of(2),
        _ => words.next_multiple_of(1 << ((words - 1).ilog2() - 2)),
    };
    words * WORD
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: what is counted is what the allocator takes. By hand: 17 bytes are 3 words, the class of 4; 65
    /// bytes are 9 words, in steps of 2 words between 8 and 16; 513 bytes, in steps of 16 words above 64.
    #[test]
    fn sizes_are_those_of_the_allocators_classes() {
        for (asked, given) in
            [(0, 0), (1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (64, 64), (65, 80), (81, 96), (129, 160)]
        {
            assert_eq!(allocated(asked), given, "{asked} bytes");
        }
        for (asked, given) in [(512, 512), (513, 640), (1024, 1024), (1025, 1280)] {
            assert_eq!(allocated(asked), given, "{asked} bytes");
        }
    }
}
