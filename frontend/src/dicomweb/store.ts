/** STOW-RS from the browser: files go up in small requests, so that each can fail alone. */
import { csrfHeaders } from "./rest";
import { sessionEnded } from "./session-end";

export interface StoreProgress {
	files: number;
	sent: number;
	stored: number;
	refused: { name: string; reason: string }[];
}

const MOST_BYTES = 32 * 1024 * 1024;
const MOST_FILES = 50;

/** Groups files into requests of bounded size, order kept. */
export function batches(files: File[]): File[][] {
	const groups: File[][] = [];
	let group: File[] = [];
	let bytes = 0;
	for (const file of files) {
		if (group.length > 0 && (group.length >= MOST_FILES || bytes + file.size > MOST_BYTES)) {
			groups.push(group);
			group = [];
			bytes = 0;
		}
		group.push(file);
		bytes += file.size;
	}
	if (group.length > 0) groups.push(group);
	return groups;
}

interface DicomJson {
	[tag: string]: { Value?: unknown[] } | undefined;
}

function sequenceLength(answer: DicomJson, tag: string): number {
	return answer[tag]?.Value?.length ?? 0;
}

async function storeBatch(
	files: File[],
	signal: AbortSignal,
): Promise<{ stored: number; failed: number; reason: string }> {
	const boundary = `pacsweb-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
	const parts: BlobPart[] = [];
	for (const file of files) {
		parts.push(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, "\r\n");
	}
	parts.push(`--${boundary}--\r\n`);
	const response = await fetch("/dicom-web/studies", {
		method: "POST",
		headers: {
			Accept: "application/dicom+json",
			"Content-Type": `multipart/related; type="application/dicom"; boundary=${boundary}`,
			...csrfHeaders(),
		},
		credentials: "same-origin",
		body: new Blob(parts),
		signal,
	});
	if (response.status === 401) sessionEnded();
	if (![200, 202, 409].includes(response.status)) {
		const text = response.headers.get("Content-Type")?.includes("html")
			? ""
			: (await response.text()).slice(0, 200);
		return { stored: 0, failed: files.length, reason: text || `refused (${response.status})` };
	}
	const answer = (await response.json()) as DicomJson;
	const stored = sequenceLength(answer, "00081199");
	const failed = Math.max(sequenceLength(answer, "00081198"), files.length - stored);
	return { stored, failed, reason: "not a DICOM instance, or in conflict with what is stored" };
}

/** Sends every file; calls back after each request; stops between requests when aborted. */
export async function storeFiles(
	files: File[],
	onProgress: (progress: StoreProgress) => void,
	signal: AbortSignal,
): Promise<StoreProgress> {
	const progress: StoreProgress = { files: files.length, sent: 0, stored: 0, refused: [] };
	for (const group of batches(files)) {
		if (signal.aborted) break;
		try {
			const outcome = await storeBatch(group, signal);
			progress.stored += outcome.stored;
			if (outcome.failed > 0) {
				progress.refused.push({
					name:
						group.length === 1 && group[0]
							? group[0].name
							: `${outcome.failed} of ${group.length} files`,
					reason: outcome.reason,
				});
			}
		} catch (error) {
			if (signal.aborted) break;
			const reason = error instanceof Error ? error.message : String(error);
			progress.refused.push({ name: `${group.length} files`, reason });
		}
		progress.sent += group.length;
		onProgress({ ...progress });
	}
	return progress;
}
