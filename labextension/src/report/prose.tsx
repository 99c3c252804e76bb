import * as React from 'react';

/** Text whose `backticks` mark code, as in the course's messages and hints. Nothing else in it means anything. */
export function Prose({ text }: { text: string }): JSX.Element {
  return (
    <>
      {text.split('`').map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}
    </>
  );
}
