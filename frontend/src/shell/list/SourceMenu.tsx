import * as Menu from "@radix-ui/react-dropdown-menu";
import { useQuery } from "@tanstack/react-query";
import { Check, ChevronDown } from "lucide-react";
import { type Elsewhere, fetchPeers, type Peer } from "../../dicomweb/peers";
import type { Session } from "../../dicomweb/studies";
import { isSame } from "./source";

/** Who can be searched and sent to; nobody for who may not. */
export function usePeers(session: Session | undefined): Peer[] | undefined {
	const { data } = useQuery({
		queryKey: ["peers"],
		queryFn: ({ signal }) => fetchPeers(signal),
		enabled: session?.permissions.includes("transfer_studies") ?? false,
		staleTime: 60_000,
	});
	return data;
}

const KIND_WORDS: Record<Peer["kind"], string> = { dimse: "DICOM", dicomweb: "DICOMweb" };

/** Where the list looks: here, or in another archive. Null is here. */
export function SourceMenu({
	source,
	peers,
	onSource,
	open,
	onOpen,
}: {
	source: Elsewhere | null;
	peers: Peer[] | undefined;
	onSource: (source: Elsewhere | null) => void;
	open: boolean;
	onOpen: (open: boolean) => void;
}) {
	const others = peers?.filter((peer) => peer.queried) ?? [];
	const title = source ? `Studies in ${source.title}` : "Studies";
	if (others.length === 0 && !source) return <h1>{title}</h1>;
	const item = (where: Peer | null) => (
		<Menu.Item
			key={where ? `${where.kind} ${where.title}` : ""}
			className="menu-item source-item"
			onSelect={() => onSource(where && { kind: where.kind, title: where.title })}
		>
			<span className="check">
				{isSame(source, where) && <Check size={14} aria-hidden="true" />}
			</span>
			<span>{where ? where.title : "Here"}</span>
			{where && <span className="source-kind">{KIND_WORDS[where.kind]}</span>}
			<span className="muted">{where?.description}</span>
		</Menu.Item>
	);
	return (
		<h1>
			<Menu.Root open={open} onOpenChange={onOpen}>
				<Menu.Trigger className="source-button" title="Another archive   a">
					{title} <ChevronDown size={14} aria-hidden="true" />
				</Menu.Trigger>
				<Menu.Portal>
					<Menu.Content className="menu" align="start" sideOffset={4}>
						{item(null)}
						<Menu.Separator className="menu-line" />
						<Menu.Label className="menu-label">Other archives</Menu.Label>
						{others.map(item)}
					</Menu.Content>
				</Menu.Portal>
			</Menu.Root>
		</h1>
	);
}
