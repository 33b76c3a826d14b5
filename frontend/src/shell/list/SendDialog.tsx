import * as Dialog from "@radix-ui/react-dialog";
import { useEffect, useRef, useState } from "react";
import {
	cancelTransfer,
	fetchTransfersById,
	type Peer,
	sendStudies,
	type Transfer,
} from "../../dicomweb/peers";
import type { StudyRow } from "../../dicomweb/studies";
import { dateText, patientLine, personName } from "../../model/studyText";
import { isOver, settled, transferText } from "../../model/transfer";

const POLL_MS = 1000;

/** Whom a study goes to: it is shown whose it is before anything leaves. */
export function SendDialog({
	row,
	peers,
	onSent,
	onClose,
}: {
	row: StudyRow;
	peers: Peer[];
	onSent: (transfer: Transfer) => void;
	onClose: () => void;
}) {
	const [sending, setSending] = useState(false);
	const [problem, setProblem] = useState("");
	const images = row.NumberOfStudyRelatedInstances;
	const send = async (peer: Peer) => {
		setSending(true);
		setProblem("");
		try {
			onSent(await sendStudies(peer, [row.StudyInstanceUID]));
		} catch (error) {
			setProblem(error instanceof Error ? error.message : String(error));
			setSending(false);
		}
	};
	return (
		<Dialog.Root open onOpenChange={(open) => !open && onClose()}>
			<Dialog.Portal>
				<Dialog.Overlay className="scrim" />
				<Dialog.Content className="dialog send-dialog" aria-describedby={undefined}>
					<Dialog.Title className="panel-title">Send to another system</Dialog.Title>
					<p>
						<strong>{personName(row.PatientName) || "no name"}</strong>
						<br />
						<span className="muted">{patientLine(row)}</span>
					</p>
					<p>
						{[row.StudyDescription, dateText(row.StudyDate), row.ModalitiesInStudy.join(", ")]
							.filter(Boolean)
							.join(" · ")}
						<br />
						<span className="muted">
							{images} {images === 1 ? "instance" : "instances"}
						</span>
					</p>
					{peers.length === 0 && (
						<p className="muted">
							No other system is known yet. An administrator adds one under Application entities,
							with host and port, or under DICOMweb archives.
						</p>
					)}
					<ul className="send-peers">
						{peers.map((peer) => (
							<li key={`${peer.kind} ${peer.title}`}>
								<button
									type="button"
									className="menu-item"
									disabled={sending}
									onClick={() => void send(peer)}
									onKeyDown={walk}
								>
									<span>Send to {peer.title}</span>
									{peer.kind === "dicomweb" && <span className="source-kind">DICOMweb</span>}
									<span className="muted">{peer.description}</span>
								</button>
							</li>
						))}
					</ul>
					{problem && (
						<p className="danger" role="alert">
							{problem}
						</p>
					)}
				</Dialog.Content>
			</Dialog.Portal>
		</Dialog.Root>
	);
}

/** Arrows go from one system to the next. */
function walk(event: React.KeyboardEvent<HTMLButtonElement>) {
	const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
	if (by === 0) return;
	event.preventDefault();
	const all = [
		...(event.currentTarget.closest("ul")?.querySelectorAll<HTMLButtonElement>("button") ?? []),
	];
	all[(all.indexOf(event.currentTarget) + by + all.length) % all.length]?.focus();
}

/** What was sent from here, until somebody closes it. */
export function SendStrip({ sent, onClose }: { sent: Transfer; onClose: () => void }) {
	const [transfer, setTransfer] = useState(sent);
	const [problem, setProblem] = useState("");
	const latest = useRef(transfer);
	latest.current = transfer;
	useEffect(() => {
		setTransfer(sent);
		const stop = new AbortController();
		const timer = window.setInterval(async () => {
			if (latest.current.id === sent.id && isOver(latest.current)) return;
			try {
				const [now] = await fetchTransfersById([sent.id], stop.signal);
				if (now) setTransfer(now);
				setProblem("");
			} catch (error) {
				if (!stop.signal.aborted)
					setProblem(error instanceof Error ? error.message : String(error));
			}
		}, POLL_MS);
		return () => {
			stop.abort();
			window.clearInterval(timer);
		};
	}, [sent]);
	const over = isOver(transfer);
	return (
		<footer className="upload-strip" role="status">
			<progress max={Math.max(transfer.total, 1)} value={settled(transfer)} aria-label="Sent" />
			<span>
				To {transfer.peer_title}: {transferText(transfer)}
				{transfer.message && <span className="muted"> · {transfer.message}</span>}
				{problem && <span className="danger"> · {problem}</span>}
			</span>
			<button
				type="button"
				className="button"
				onClick={() =>
					over ? onClose() : void cancelTransfer(transfer.id).then(setTransfer, () => undefined)
				}
			>
				{over ? "Close" : "Cancel"}
			</button>
		</footer>
	);
}
