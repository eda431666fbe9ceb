package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// maxChain is how many deltas may stand on each other. Whoever reads an object later goes through all of them.
const maxChain = 4095

// packed is an object of a pack.
type packed struct {
	offset int64
	size   int64 // of the object, also where a delta makes it
	crc    uint32
	kind   plumbing.ObjectType
	id     plumbing.Hash
	deltas []*packed // what is made of it
}

// packIndexer finds out the ids of all objects of a pack. The library's own takes each object into memory, needed or not:
// a file of 100 MB cost twice that. Here only what deltas are made of is held, while they are.
type packIndexer struct {
	limits  limits
	scanner *packfile.Scanner
	objects []*packed
	waiting map[plumbing.Hash][]*packed // deltas, by the id of an object that was not seen yet
	held    int64                       // bytes of objects in memory
}

// indexPack reads a pack and returns its checksum and its index, or an error if it is not whole, or over a limit.
func indexPack(pack io.ReadSeeker, l limits) (plumbing.Hash, *idxfile.MemoryIndex, error) {
	x := &packIndexer{limits: l, scanner: packfile.NewScanner(pack), waiting: map[plumbing.Hash][]*packed{}}
	err := x.scan()
	if err != nil {
		return plumbing.ZeroHash, nil, fmt.Errorf("reading a pack: %w", err)
	}
	checksum, err := x.scanner.Checksum()
	if err != nil {
		return plumbing.ZeroHash, nil, fmt.Errorf("reading a pack: %w", err)
	}
	index := new(idxfile.Writer)
	if err = index.OnHeader(uint32(len(x.objects))); err == nil {
		err = x.resolve(index)
	}
	if err == nil {
		err = index.OnFooter(checksum)
	}
	if err != nil {
		return plumbing.ZeroHash, nil, fmt.Errorf("indexing a pack: %w", err)
	}
	memory, err := index.Index()
	return checksum, memory, err
}

// scan goes through the pack once, without holding any object, and finds the ids of those that are whole.
func (x *packIndexer) scan() error {
	_, count, err := x.scanner.Header()
	switch {
	case err != nil:
		return err
	case count > x.limits.objects:
		return &tooLargeError{fmt.Sprintf("the server sends %d objects, and at most %d are taken", count, x.limits.objects)}
	}
	at, total := map[int64]*packed{}, int64(0)
	for range count {
		header, err := x.scanner.NextObjectHeader()
		if err != nil {
			return err
		}
		o := &packed{offset: header.Offset, size: header.Length, kind: header.Type}
		start, hasher := &prefix{}, plumbing.NewHasher(header.Type, header.Length)
		into := io.Writer(hasher)
		if o.kind.IsDelta() {
			into = start
		}
		written, crc, err := x.scanner.NextObject(into)
		if err == nil && written != header.Length {
			err = fmt.Errorf("an object of %d bytes has %d", header.Length, written)
		}
		if err != nil {
			return err
		}
		o.crc = crc
		switch o.kind {
		case plumbing.OFSDeltaObject:
			base := at[header.OffsetReference]
			if base == nil {
				return errors.New("a delta of nothing")
			}
			base.deltas = append(base.deltas, o)
		case plumbing.REFDeltaObject:
			x.waiting[header.Reference] = append(x.waiting[header.Reference], o)
		case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
			o.id = hasher.Sum()
		default:
			return fmt.Errorf("an object of an unknown kind (%d)", o.kind)
		}
		if o.kind.IsDelta() {
			o.size = start.target()
		}
		total += o.size
		if max(o.size, header.Length) > x.limits.object || total > x.limits.total {
			return &tooLargeError{fmt.Sprintf("the repository holds a file of %d bytes, or more than %d bytes of files in its last %d commits",
				max(o.size, header.Length), x.limits.total, depth)}
		}
		at[o.offset] = o
		x.objects = append(x.objects, o)
	}
	return nil
}

// resolve finds the ids of what deltas make, and tells the index of all objects.
func (x *packIndexer) resolve(index *idxfile.Writer) error {
	for _, o := range x.objects {
		if o.kind.IsDelta() || !x.settle(o) {
			continue
		}
		content, err := x.read(o)
		if err != nil {
			return err
		}
		if err := x.expand(o, content); err != nil {
			return err
		}
	}
	for _, o := range x.objects {
		if o.kind.IsDelta() {
			return errors.New("a delta of an object that is not in the pack")
		}
		index.Add(o.id, uint64(o.offset), o.crc)
	}
	return nil
}

// settle gives an object whose id is known the deltas that waited for it, and reports whether it has any.
func (x *packIndexer) settle(o *packed) bool {
	o.deltas = append(o.deltas, x.waiting[o.id]...)
	delete(x.waiting, o.id)
	return len(o.deltas) > 0
}

// parent is an object whose deltas are being resolved.
type parent struct {
	*packed
	content []byte
	depth   int
}

// expand resolves all that is made of an object, directly or not. A parent is let go of before the last of its deltas becomes
// one, so that a chain of deltas holds no more than two objects at a time.
func (x *packIndexer) expand(root *packed, content []byte) error {
	stack := []parent{{root, content, 0}}
	x.held = int64(len(content))
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		o := p.deltas[0]
		if p.deltas = p.deltas[1:]; len(p.deltas) == 0 {
			stack = stack[:len(stack)-1]
			x.held -= int64(len(p.content))
		}
		delta, err := x.read(o)
		if err != nil {
			return err
		}
		hasher := plumbing.NewHasher(p.kind, o.size)
		if err := applyDelta(hasher, p.content, delta); err != nil {
			return err
		}
		o.kind, o.id = p.kind, hasher.Sum()
		if !x.settle(o) {
			continue
		}
		if x.held += o.size; x.held > 2*x.limits.object {
			return &tooLargeError{fmt.Sprintf("the server sends deltas that need more than %d bytes at once", 2*x.limits.object)}
		}
		if p.depth == maxChain {
			return fmt.Errorf("more than %d deltas stand on each other", maxChain)
		}
		var made bytes.Buffer
		made.Grow(int(o.size))
		if err := applyDelta(&made, p.content, delta); err != nil {
			return err
		}
		stack = append(stack, parent{o, made.Bytes(), p.depth + 1})
	}
	return nil
}

// read reads what the pack has at an object: itself, or the delta that makes it.
func (x *packIndexer) read(o *packed) ([]byte, error) {
	header, err := x.scanner.SeekObjectHeader(o.offset)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	content.Grow(int(header.Length)) // within the limits, and as long as that: scan has seen it
	_, _, err = x.scanner.NextObject(&content)
	return content.Bytes(), err
}

var errDelta = errors.New("a delta that cannot be applied")

// applyDelta writes what a delta makes of a base: after the sizes of both come instructions to copy from the base, or to
// insert bytes that follow. See gitformat-pack(5).
func applyDelta(w io.Writer, base, delta []byte) error {
	from, n := binary.Uvarint(delta)
	if n <= 0 || from != uint64(len(base)) {
		return errDelta
	}
	left, m := binary.Uvarint(delta[n:])
	if m <= 0 {
		return errDelta
	}
	for delta = delta[n+m:]; len(delta) > 0; {
		op := delta[0]
		delta = delta[1:]
		var part []byte
		if op&0x80 == 0 {
			size := int(op)
			if size == 0 || size > len(delta) {
				return errDelta
			}
			part, delta = delta[:size], delta[size:]
		} else {
			var fields [7]byte // four of an offset, three of a size, each only if its bit is set
			for i := range fields {
				if op&(1<<i) == 0 {
					continue
				}
				if len(delta) == 0 {
					return errDelta
				}
				fields[i], delta = delta[0], delta[1:]
			}
			offset := uint64(binary.LittleEndian.Uint32(fields[:4]))
			size := uint64(fields[4]) | uint64(fields[5])<<8 | uint64(fields[6])<<16
			if size == 0 {
				size = 0x10000
			}
			if offset+size > uint64(len(base)) {
				return errDelta
			}
			part = base[offset : offset+size]
		}
		if uint64(len(part)) > left {
			return errDelta
		}
		left -= uint64(len(part))
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	if left > 0 {
		return errDelta
	}
	return nil
}

// prefix keeps the first bytes of what is written to it.
type prefix struct {
	bytes [2 * binary.MaxVarintLen64]byte
	n     int
}

func (p *prefix) Write(b []byte) (int, error) {
	p.n += copy(p.bytes[p.n:], b)
	return len(b), nil
}

// target reads how large the object is that a delta makes: its second number.
func (p *prefix) target() int64 {
	rest := p.bytes[:p.n]
	_, n := binary.Uvarint(rest)
	if n <= 0 {
		return 0
	}
	size, n := binary.Uvarint(rest[n:])
	if n <= 0 || int64(size) < 0 {
		return 0
	}
	return int64(size)
}
