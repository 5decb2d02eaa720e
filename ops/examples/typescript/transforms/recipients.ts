/** What the plan's `columns` give. bigint, for a key may be larger than a number can tell exactly. */
interface Message {
  id: bigint;
  recipients: string;
}

/** A row of message_recipients. */
interface Recipient {
  message_id: bigint;
  position: number;
  name: string | null;
  address: string;
}

/** A name, quoted or plain, before an address in angle brackets; or the address alone. A doubled quote stands for one. */
const recipient = /\s*(?:(?:"((?:[^"]|"")*)"|([^",<]*))\s*<([^>]*)>|([^,]+))\s*(?:,|$)/g;

/** One row for each recipient of a message; none where the header holds only commas. */
export default function recipients(message: Message): Recipient[] {
  const found = [...message.recipients.matchAll(recipient)]
    .map(([, quoted, plain, bracketed, alone]) => ({
      name: quoted?.replaceAll('""', '"') ?? (plain?.trim() || null),
      address: (bracketed ?? alone ?? '').trim().toLowerCase(),
    }))
    .filter(({ address }) => address !== '');
  return found.map((each, i) => ({ message_id: message.id, position: i + 1, ...each }));
}
