/**
 * target_session_attrs: names, meaning, and the choice of instances that fit.
 *
 * Meaning as libpq defines it (PostgreSQL documentation, 34.1.2 Parameter Key Words); pgjdbc's
 * targetServerType names are synonyms, its `primary` being what libpq calls read-write.
 */
import { hasAttribute } from '../protocol/attributes.js';

/** The canonical names, as libpq spells them. */
export const TARGETS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type TargetSessionAttrs = (typeof TARGETS)[number];

/** Other spellings, lower case. `primary` stands above: for libpq it means "not in recovery". */
const SYNONYMS: Readonly<Record<string, TargetSessionAttrs>> = {
  secondary: 'standby',
  prefersecondary: 'prefer-standby',
};

/** The canonical name, or why there is none (a sentence for DETAIL). Letter case does not matter. */
export function parseTarget(
  text: string,
): { readonly target: TargetSessionAttrs } | { readonly refusal: string } {
  const word = text.toLowerCase();
  const target = TARGETS.find((name) => name === word) ?? SYNONYMS[word];
  if (target !== undefined) return { target };
  if (word === 'preferprimary') {
    return { refusal: 'preferPrimary cannot be used with a connection manager.' };
  }
  return { refusal: `Known values are ${TARGETS.join(', ')} (and secondary, preferSecondary).` };
}

/** Whether a target asks for the one instance that takes writes. */
export function isWriterTarget(target: TargetSessionAttrs): boolean {
  return target === 'primary' || target === 'read-write';
}

/** Whether attribute bits satisfy a target, by libpq's definition; prefer-standby and any take every role. */
export function fitsTarget(bits: number, target: TargetSessionAttrs): boolean {
  const primary = hasAttribute(bits, 'primary');
  const standby = hasAttribute(bits, 'standby');
  const readOnly =
    standby || hasAttribute(bits, 'readOnlyByRecovery') || hasAttribute(bits, 'readOnlyByDefault');
  switch (target) {
    case 'any':
    case 'prefer-standby':
      return primary || standby;
    case 'read-write':
      return primary && !readOnly;
    case 'read-only':
      return (primary || standby) && readOnly;
    case 'primary':
      return primary;
    case 'standby':
      return standby;
  }
}
