import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of a certificate and its key. */
export interface Certificate {
  cert: string;
  key: string;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(folder: string, args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Makes a certificate authority with the `openssl` program; files go to `folder`. */
export function makeAuthority(folder: string, name: string): Certificate {
  mkdirSync(folder, { recursive: true });
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  openssl(folder, ['req', '-x509', ...newKey, '-keyout', key, '-out', cert, ...subject]);
  return { cert, key };
}

/** Has an authority sign a certificate for `commonName`; `altNames` as openssl writes them, e.g. `DNS:localhost`. */
export function issue(
  folder: string,
  authority: Certificate,
  file: string,
  commonName: string,
  altNames?: string,
): Certificate {
  const [cert, key, request] = ['crt', 'key', 'csr'].map((end) => join(folder, `${file}.${end}`)) as [
    string,
    string,
    string,
  ];
  const extensions = join(folder, `${file}.ext`);
  writeFileSync(extensions, altNames ? `subjectAltName=${altNames}\n` : 'basicConstraints=CA:FALSE\n');
  openssl(folder, ['req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${commonName}`]);
  const signer = ['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial', '-days', '2'];
  openssl(folder, ['x509', '-req', '-in', request, '-out', cert, ...signer, '-extfile', extensions]);
  return { cert, key };
}
