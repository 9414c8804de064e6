package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
)

// A record on disk, all numbers little-endian, its length a multiple of 8:
//
//	 0  magic "SYR1"
//	 4  length of the whole record
//	 8  sequence
//	16  last sequence that was durable when the record was encoded: a later record proves the earlier ones were acknowledged
//	24  length of the subject (16 bits), length of the id (16 bits)
//	28  length of the data
//	32  CRC32C of everything from byte 40
//	36  CRC32C of bytes 0 to 36
//	40  subject, id, data, zeros up to a multiple of 8
//	    SHA-256 over: hash of the previous record, bytes 0 to 32, subject to zeros
//
// The header has a checksum of its own so that a damaged length cannot be taken for a record that ends after the file does. The record ends in 32
// bytes that look random, and not in its data, so that a flipped bit can never make its last sector look unwritten.
const (
	headerSize     = 40
	hashSize       = 32
	recordOverhead = headerSize + hashSize + 7
	subjectLimit   = 1024
	idLimit        = 512
	sector         = 512 // what a disk writes whole or not at all
)

var (
	recordMagic = [4]byte{'S', 'Y', 'R', '1'}
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// Reasons why bytes are not a record. They become DamageError.Reason, or the sign of a torn write.
var (
	errShort   = errors.New("the record ends after the file")
	errHeader  = errors.New("the header's checksum does not match")
	errPayload = errors.New("the checksum does not match")
	errLayout  = errors.New("the lengths in the header contradict each other")
)

// header is the decoded first part of a record.
type header struct {
	length            int64
	seq, durable      uint64
	subject, id, data int
	crc               uint32
}

// recordSize returns the length on disk of an entry.
func recordSize(e *Entry) int64 {
	return bodySize(len(e.Subject), len(e.ID), len(e.Data)) + headerSize + hashSize
}

func bodySize(subject, id, data int) int64 {
	return (int64(subject) + int64(id) + int64(data) + 7) &^ 7
}

// appendRecord encodes an entry at the end of buf and moves the chain's head on. It does not allocate when buf has room.
func appendRecord(buf []byte, e *Entry, seq, durable uint64, head *[hashSize]byte, sha hash.Hash) []byte {
	start := len(buf)
	size := recordSize(e)
	le := binary.LittleEndian
	buf = append(buf, recordMagic[:]...)
	buf = le.AppendUint32(buf, uint32(size))
	buf = le.AppendUint64(buf, seq)
	buf = le.AppendUint64(buf, durable)
	buf = le.AppendUint16(buf, uint16(len(e.Subject)))
	buf = le.AppendUint16(buf, uint16(len(e.ID)))
	buf = le.AppendUint32(buf, uint32(len(e.Data)))
	buf = le.AppendUint64(buf, 0) // the checksums, below
	buf = append(buf, e.Subject...)
	buf = append(buf, e.ID...)
	buf = append(buf, e.Data...)
	for len(buf)&7 != start&7 {
		buf = append(buf, 0)
	}
	sha.Reset()
	sha.Write(head[:])
	sha.Write(buf[start : start+32])
	sha.Write(buf[start+headerSize:])
	buf = sha.Sum(buf)
	copy(head[:], buf[len(buf)-hashSize:])
	le.PutUint32(buf[start+32:], crc32.Checksum(buf[start+headerSize:], castagnoli))
	le.PutUint32(buf[start+36:], crc32.Checksum(buf[start:start+36], castagnoli))
	return buf
}

// parseHeader decodes and checks the first headerSize bytes of b.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, errShort
	}
	le := binary.LittleEndian
	if !bytes.Equal(b[:4], recordMagic[:]) || crc32.Checksum(b[:36], castagnoli) != le.Uint32(b[36:]) {
		return header{}, errHeader
	}
	h := header{
		length: int64(le.Uint32(b[4:])), seq: le.Uint64(b[8:]), durable: le.Uint64(b[16:]),
		subject: int(le.Uint16(b[24:])), id: int(le.Uint16(b[26:])), data: int(le.Uint32(b[28:])), crc: le.Uint32(b[32:]),
	}
	if bodySize(h.subject, h.id, h.data)+headerSize+hashSize != h.length {
		return header{}, errLayout
	}
	return h, nil
}

// checkPayload checks the whole record b against the checksum in its header.
func (h header) checkPayload(b []byte) error {
	if crc32.Checksum(b[headerSize:h.length], castagnoli) != h.crc {
		return errPayload
	}
	return nil
}

// chain returns what the hash of record b has to be after a record with hash prev, and the hash that it carries.
func (h header) chain(b []byte, prev [hashSize]byte, sha hash.Hash) (want, got [hashSize]byte) {
	sha.Reset()
	sha.Write(prev[:])
	sha.Write(b[:32])
	sha.Write(b[headerSize : h.length-hashSize])
	sha.Sum(want[:0])
	copy(got[:], b[h.length-hashSize:h.length])
	return want, got
}

// entry decodes the record b. Data is a copy.
func (h header) entry(b []byte) Entry {
	p := b[headerSize:]
	return Entry{
		Seq: h.seq, Subject: string(p[:h.subject]), ID: string(p[h.subject : h.subject+h.id]),
		Data: bytes.Clone(p[h.subject+h.id : h.subject+h.id+h.data]),
	}
}
