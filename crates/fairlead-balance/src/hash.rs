//! Bytes → 64 bits: the keys of hash policies.
//!
//! SipHash-1-3 [1]: two rounds fewer than the original, still without a known way to make keys
//! collide on purpose for whoever doesn't know the key, and a few nanoseconds for what is hashed
//! here (an address, a path, a cookie).
//!
//! The key of [`of`] is fixed, not drawn: several balancers in front of the same backends, and
//! one before and after a restart, must send the same client to the same place. Whoever can send
//! any path can therefore aim at one backend; it could as well send one path often.
//!
//! Tables that place keys by their remainder take [`folded`] for addresses instead: neighbours in a
//! network then have neighbouring places, so that few clients spread as evenly as many.
//!
//! # Source
//!
//! [1] Aumasson, Bernstein: `SipHash`: a fast short-input PRF. INDOCRYPT 2012, LNCS 7668, 489–508.

/// Hashes a property of a request for `Policy::Hash`.
///
/// ```
/// # use fairlead_balance::hash;
/// assert_eq!(hash::of(b"10.0.0.1"), hash::of(b"10.0.0.1"));
/// assert_ne!(hash::of(b"10.0.0.1"), hash::of(b"10.0.0.2"));
/// ```
pub fn of(bytes: &[u8]) -> u64 {
    keyed([0x6661_6972_6c65_6164, 0x0062_616c_616e_6365], bytes)
}

/// Folds an address into a number: a polynomial of its bytes at 31, so that addresses that follow
/// each other have numbers that do.
///
/// Inlab's balance places clients so. It folds a structure of 28 bytes that begins with the
/// address, so twelve zeros come after it; with them, clients keep the places that they had under
/// its `-6` (without that option it didn't look at the address at all).
///
/// ```
/// # use fairlead_balance::hash;
/// let places: Vec<u32> = (1..9).map(|last| hash::folded(&[10, 0, 0, last]) % 4).collect();
/// assert_eq!(places, [3, 0, 1, 2, 3, 0, 1, 2]);
/// ```
pub fn folded(bytes: &[u8]) -> u32 {
    let zeros = [0; 12];
    let fold = |sum: u32, byte: &u8| {
        sum.wrapping_mul(31).wrapping_add_signed(i32::from(i8::from_ne_bytes([*byte])))
    };
    bytes.iter().chain(&zeros).fold(0, fold)
}

/// Hashes `bytes` under a key: SipHash-1-3.
pub fn keyed(key: [u64; 2], bytes: &[u8]) -> u64 {
    sip::<1, 3>(key, bytes)
}

/// The family: `EACH` rounds for each word of eight bytes, `LAST` at the end.
fn sip<const EACH: usize, const LAST: usize>([k0, k1]: [u64; 2], bytes: &[u8]) -> u64 {
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut absorb = |word: u64| {
        state[3] ^= word;
        rounds::<EACH>(&mut state);
        state[0] ^= word;
    };
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        absorb(little_endian(word));
    }
    // The last word holds what is left over and, in its top byte, the length.
    absorb(little_endian(words.remainder()) | (bytes.len() as u64) << 56);
    state[2] ^= 0xff;
    rounds::<LAST>(&mut state);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[inline]
fn rounds<const COUNT: usize>(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..COUNT {
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        c = c.rotate_left(32);
    }
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

    #[test]
    fn two_four_is_that_of_the_paper() {
        // Appendix A of the paper: key 00…0f, input 00…0e.
        let input: Vec<u8> = (0..15).collect();
        assert_eq!(sip::<2, 4>(KEY, &input), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn one_three_is_that_of_the_standard_library() {
        // Its default hasher is SipHash-1-3 under the key 0 and has been since 2016.
        let input: Vec<u8> = (0..64).collect();
        for length in 0..input.len() {
            let mut theirs = std::hash::DefaultHasher::new();
            theirs.write(&input[..length]);
            assert_eq!(keyed([0, 0], &input[..length]), theirs.finish(), "{length} bytes");
        }
    }

    #[test]
    fn keys_matter_and_so_does_every_byte() {
        assert_ne!(keyed([0, 0], b"app"), keyed([0, 1], b"app"));
        assert_ne!(of(b"a"), of(b"a\0"));
        assert_ne!(of(b""), of(b"\0"));
    }

    #[test]
    fn hashes_of_addresses_spread_evenly() {
        let mut seen = [0_u32; 16];
        for last in 0..=255_u8 {
            for third in 0..16_u8 {
                seen[(of(&[10, 0, third, last]) >> 60) as usize] += 1;
            }
        }
        assert!(seen.iter().all(|&count| (200..312).contains(&count)), "{seen:?}");
    }
}
