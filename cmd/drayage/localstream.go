package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// localStream reads a file that was found to be a blob, from an offset on. Where the
// file turns out to be another one meanwhile, it goes on with what otherwise opens.
type localStream struct {
	local *localFile
	file  *os.File
	at    int64  // the next byte
	room  []byte // of a piece
	piece []byte // what is left of it to be read

	otherwise func(offset int64) (io.ReadCloser, error)
	rest      io.ReadCloser
}

func openLocalStream(local *localFile, offset int64, otherwise func(offset int64) (io.ReadCloser, error)) (io.ReadCloser, error) {
	if offset < 0 || offset > local.size {
		return nil, fmt.Errorf("read %s: there is no byte %d", local.path, offset)
	}
	file, err := local.open()
	if err != nil {
		local.spoil(err)
		return otherwise(offset)
	}
	return &localStream{local: local, file: file, at: offset, otherwise: otherwise}, nil
}

func (s *localStream) Read(p []byte) (int, error) {
	if s.rest != nil {
		return s.rest.Read(p)
	}
	if len(s.piece) == 0 {
		if s.at >= s.local.size {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
		if s.rest != nil {
			return s.rest.Read(p)
		}
	}
	n := copy(p, s.piece)
	s.piece = s.piece[n:]
	s.at += int64(n)
	return n, nil
}

// next reads the piece that the next byte is in, or opens what comes in the file's place.
func (s *localStream) next() error {
	if s.room == nil {
		s.room = make([]byte, pieceSize)
	}
	n := int(s.at / pieceSize)
	piece, err := s.local.piece(s.file, n, s.room)
	if err == nil {
		s.piece = piece[s.at-int64(n)*pieceSize:]
		return nil
	}
	s.local.spoil(err)
	rest, instead := s.otherwise(s.at)
	if instead != nil {
		return fmt.Errorf("%w, and the layer could not be read elsewhere either: %w", err, instead)
	}
	s.rest = rest
	return nil
}

func (s *localStream) Close() error {
	err := s.file.Close()
	if s.rest != nil {
		err = errors.Join(err, s.rest.Close())
	}
	return err
}
