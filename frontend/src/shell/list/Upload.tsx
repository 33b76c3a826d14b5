import { useCallback, useEffect, useRef, useState } from "react";
import { type StoreProgress, storeFiles } from "../../dicomweb/store";

interface Running {
	progress: StoreProgress;
	done: boolean;
	cancelled: boolean;
}

/** Every file below a dropped entry; folders are walked. */
async function filesOf(entry: FileSystemEntry): Promise<File[]> {
	if (entry.isFile) {
		return [
			await new Promise<File>((resolve, reject) =>
				(entry as FileSystemFileEntry).file(resolve, reject),
			),
		];
	}
	const reader = (entry as FileSystemDirectoryEntry).createReader();
	const found: File[] = [];
	for (;;) {
		const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
			reader.readEntries(resolve, reject),
		);
		if (some.length === 0) return found;
		for (const each of some) found.push(...(await filesOf(each)));
	}
}

/** Dropping or choosing files stores them; the strip at the bottom says how far it is. */
export function useUpload(allowed: boolean) {
	const [running, setRunning] = useState<Running | null>(null);
	const [dropping, setDropping] = useState(false);
	const stop = useRef<AbortController | null>(null);

	const send = useCallback(async (files: File[]) => {
		if (files.length === 0 || stop.current) return;
		const controller = new AbortController();
		stop.current = controller;
		const start = { files: files.length, sent: 0, stored: 0, refused: [] };
		setRunning({ progress: start, done: false, cancelled: false });
		const progress = await storeFiles(
			files,
			(each) => setRunning({ progress: each, done: false, cancelled: false }),
			controller.signal,
		);
		setRunning({ progress, done: true, cancelled: controller.signal.aborted });
		stop.current = null;
	}, []);

	useEffect(() => {
		if (!allowed) return;
		const over = (event: DragEvent) => {
			if (!event.dataTransfer?.types.includes("Files")) return;
			event.preventDefault();
			setDropping(true);
		};
		const leave = (event: DragEvent) => {
			if (event.relatedTarget === null) setDropping(false);
		};
		const drop = async (event: DragEvent) => {
			if (!event.dataTransfer?.types.includes("Files")) return;
			event.preventDefault();
			setDropping(false);
			const entries = [...event.dataTransfer.items]
				.map((item) => item.webkitGetAsEntry())
				.filter((entry) => entry !== null);
			const lists = await Promise.all(entries.map(filesOf));
			await send(lists.flat());
		};
		window.addEventListener("dragover", over);
		window.addEventListener("dragleave", leave);
		window.addEventListener("drop", drop);
		return () => {
			window.removeEventListener("dragover", over);
			window.removeEventListener("dragleave", leave);
			window.removeEventListener("drop", drop);
		};
	}, [allowed, send]);

	return {
		running,
		dropping,
		send,
		cancel: () => stop.current?.abort(),
		dismiss: () => setRunning(null),
	};
}

export function UploadStrip({
	running,
	onCancel,
	onDismiss,
}: {
	running: Running;
	onCancel: () => void;
	onDismiss: () => void;
}) {
	const { progress, done, cancelled } = running;
	const refused = progress.refused;
	return (
		<footer className="upload-strip" role="status">
			<progress max={progress.files} value={progress.sent} aria-label="Files sent" />
			<span>
				{cancelled ? "Cancelled. " : ""}
				{progress.sent} of {progress.files} files sent, {progress.stored} stored
			</span>
			{refused.length > 0 && (
				<details>
					<summary className="danger">{refused.length} refusals</summary>
					<ul>
						{refused.map((each) => (
							<li key={`${each.name} ${each.reason}`}>
								{each.name}: {each.reason}
							</li>
						))}
					</ul>
				</details>
			)}
			<button type="button" className="button" onClick={done ? onDismiss : onCancel}>
				{done ? "Close" : "Cancel"}
			</button>
		</footer>
	);
}
