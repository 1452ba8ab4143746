/** WAL positions as PostgreSQL writes them. */

/** `16/B374D848`; '' for 0, which stands for unknown. */
export function formatPosition(position: bigint): string {
  if (position === 0n) return '';
  const hex = (part: bigint): string => part.toString(16).toUpperCase();
  return `${hex(position >> 32n)}/${hex(position & 0xffff_ffffn)}`;
}
