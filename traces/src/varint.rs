//! Integers of variable length: seven bits a byte, lowest first, the top bit says that more follow (LEB128).

/// The most bytes of a 64-bit integer.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

/// Appends an integer.
#[inline]
pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Takes an integer from `bytes` at `at` and moves `at` behind it. `None` if the bytes end too early or say more than
/// 64 bits; `at` then has no meaning.
#[inline]
pub(crate) fn take(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..7 * VARINT_BYTES_MAX as u32).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A signed difference as an unsigned integer that is small when the difference is: 0, -1, 1, -2, 2 …
#[inline]
pub(crate) fn zigzag(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// The difference that [`zigzag`] made into `value`.
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn take_undoes_put(value: u64, shift in 0_u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            prop_assert_eq!(bytes.len(), (64 - value.leading_zeros()).div_ceil(7).max(1) as usize);
            let mut at = 0;
            prop_assert_eq!(take(&bytes, &mut at), Some(value));
            prop_assert_eq!(at, bytes.len());
            prop_assert_eq!(take(&bytes[..bytes.len() - 1], &mut 0), None);
        }

        #[test]
        fn unzigzag_undoes_zigzag(difference: i64) {
            prop_assert_eq!(unzigzag(zigzag(difference)), difference);
        }
    }

    #[test]
    fn more_than_64_bits_are_refused() {
        let mut bytes = vec![0xff; 9];
        bytes.push(1);
        assert_eq!(take(&bytes, &mut 0), Some(u64::MAX));
        bytes[9] = 2;
        assert_eq!(take(&bytes, &mut 0), None);
        bytes[9] = 0x81;
        bytes.push(0);
        assert_eq!(take(&bytes, &mut 0), None);
    }
}
