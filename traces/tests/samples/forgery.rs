//! Seals chunks as `FORMAT.md` says, so that tests can change what stands in them.

/// Where the chunks begin: behind the prologue and the header's block.
pub fn first_chunk(file: &[u8]) -> usize {
    24 + u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize
}

/// Where the chunk behind the one at `offset` begins.
pub fn next_chunk(file: &[u8], offset: usize) -> usize {
    offset + 48 + u32::from_le_bytes(file[offset + 32..offset + 36].try_into().unwrap()) as usize
}

/// Where all chunks begin, that of the footer last.
pub fn chunks(file: &[u8]) -> Vec<usize> {
    let mut offsets = vec![first_chunk(file)];
    while file[offsets[offsets.len() - 1]] != 7 {
        offsets.push(next_chunk(file, offsets[offsets.len() - 1]));
    }
    offsets
}

/// Gives the chunk at `offset` the checksums of what stands in it now.
pub fn seal(file: &mut [u8], offset: usize) {
    let end = next_chunk(file, offset);
    let sum = blake3::hash(&file[offset..offset + 36]);
    file[offset + 36..offset + 40].copy_from_slice(&sum.as_bytes()[..4]);
    let mut both = file[offset..offset + 40].to_vec();
    both.extend_from_slice(&file[offset + 48..end]);
    file[offset + 40..offset + 48].copy_from_slice(&blake3::hash(&both).as_bytes()[..8]);
}

/// Gives the header's block the checksum of what stands in it now.
pub fn seal_header(file: &mut [u8]) {
    let mut both = file[..16].to_vec();
    both.extend_from_slice(&file[24..first_chunk(file)]);
    file[16..24].copy_from_slice(&blake3::hash(&both).as_bytes()[..8]);
}
